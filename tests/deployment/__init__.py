"""Deploy, test, update and delete the stack on an AWS emulator: `make test-deploy`.

The emulator enforces each function's role. It needs no AWS account and no network. `sam build` and
`sam deploy` use `template.yaml` as it is. `emulator_workarounds.py` holds all that the emulator
does differently from AWS.
"""
