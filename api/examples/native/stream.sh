curl --no-buffer http://127.0.0.1:8080/ai/chat \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"messages": [{"role": "user", "content": "Count from 1 to 10."}], "stream": true}'
