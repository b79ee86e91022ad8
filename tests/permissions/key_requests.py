"""Every request about access keys of an endpoint."""

from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb.access_keys import ALL_SCOPES, new_secret

if TYPE_CHECKING:
    from tests.permissions.api_requests import Walk

_PATH = "/v1/keys"


def call_keys(walk: "Walk") -> None:
    """List keys; also create keys and revoke one, if the endpoint serves that."""
    secret, org = new_secret(), f"organization-{walk.endpoint}"
    access_keys = walk.harness.stores.access_keys
    access_keys.save(secret, project_id="", org_id=org, scopes=ALL_SCOPES)
    access_keys.claim_project(f"project-{walk.endpoint}", org)
    headers = {"Authorization": f"Bearer {secret}"}
    walk.call("GET", _PATH, headers=headers)
    if walk.is_full_api:
        once = {**headers, "Idempotency-Key": "key"}
        body = {"project_id": f"project-{walk.endpoint}", "user_id": "anna"}
        walk.call("POST", _PATH, json=body, headers=once)
        created = walk.call("POST", _PATH, json=body, headers=once)
        walk.call("DELETE", f"{_PATH}/{created['data']['id']}", headers=headers)
