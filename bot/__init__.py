"""Discord: client, cogs, rendering of replies, the words people read. Talks to the model over HTTP only."""
