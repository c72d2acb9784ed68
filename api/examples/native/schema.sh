curl http://127.0.0.1:8080/ai/chat \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "parley-demo",
    "messages": [{"role": "user", "content": "Give me JSON with name Ada and age 36."}],
    "format": {
      "type": "object",
      "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
      "required": ["name", "age"],
      "additionalProperties": false
    },
    "options": {"temperature": 0, "num_predict": 64}
  }'
