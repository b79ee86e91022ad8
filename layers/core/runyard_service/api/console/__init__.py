"""The web console: a page that uses the APIs with the visitor's own access key."""
