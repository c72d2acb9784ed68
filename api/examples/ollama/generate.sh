curl http://127.0.0.1:8080/api/generate \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -d '{
    "model": "parley-demo",
    "prompt": "Give me JSON with name Ada and age 36.",
    "format": {
      "type": "object",
      "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
      "required": ["name", "age"],
      "additionalProperties": false
    },
    "options": {"temperature": 0},
    "stream": false
  }'
