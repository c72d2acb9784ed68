"""The pages for people: `/`, `/tokens`, `/usage` and what belongs to them, served beside the API."""
