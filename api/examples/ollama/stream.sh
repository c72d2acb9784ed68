curl --no-buffer http://127.0.0.1:8080/api/chat \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -d '{
    "model": "parley-demo",
    "messages": [{"role": "user", "content": "Count from 1 to 10."}]
  }'
