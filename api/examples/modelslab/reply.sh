curl http://127.0.0.1:8080/api/v6/llm/chat \
  -H "Content-Type: application/json" \
  -d @- <<END
{"key": "$PARLEY_TOKEN", "prompt": "Hello! What can you do?"}
END
