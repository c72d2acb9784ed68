chat_id=$(
  curl -s http://127.0.0.1:8080/api/v6/llm/chat \
    -H "Content-Type: application/json" \
    -d @- <<END | grep -o '"chat_id":"[^"]*"' | head -n 1 | cut -d '"' -f 4
{"key": "$PARLEY_TOKEN", "prompt": "My lucky number is 58."}
END
)

curl http://127.0.0.1:8080/api/v6/llm/chat \
  -H "Content-Type: application/json" \
  -d @- <<END
{"key": "$PARLEY_TOKEN", "chat_id": "$chat_id", "prompt": "What is my lucky number?"}
END
