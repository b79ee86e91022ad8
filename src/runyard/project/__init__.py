"""Projects of users: `runyard new` writes one, `runyard vendor` copies the service into it."""
