curl http://127.0.0.1:8080/api/chat \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -d '{
    "model": "parley-demo",
    "messages": [{"role": "user", "content": "Hello! What can you do?"}],
    "stream": false
  }'
