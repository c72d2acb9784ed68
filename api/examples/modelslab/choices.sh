curl http://127.0.0.1:8080/api/v6/llm/chat \
  -H "Content-Type: application/json" \
  -d @- <<END
{
  "key": "$PARLEY_TOKEN",
  "model_id": "parley-demo",
  "prompt": "Which day comes after Monday?",
  "generator_type": "choices",
  "generator_choices": ["Sunday", "Tuesday", "Friday"],
  "do_sample": false
}
END
