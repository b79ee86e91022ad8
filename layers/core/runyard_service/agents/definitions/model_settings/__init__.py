"""Settings of requests to models: fields of agents and routes, and which provider takes which."""
