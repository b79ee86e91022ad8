"""A rehearsal of a deployment, without an account and without a way out: `make test-deploy`.

`sam build` and `sam deploy` of `template.yaml` as it is, to an emulator of AWS that enforces the
functions' roles; then the end-to-end tests through its HTTP API, a second deployment as an update,
and the removal. What the emulator cannot do is stepped around in `stepped_around.py` and nowhere
else.
"""
