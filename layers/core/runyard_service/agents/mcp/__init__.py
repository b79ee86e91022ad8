"""Tools of MCP servers: a client of both protocol eras, and the list of tools that a run pins."""
