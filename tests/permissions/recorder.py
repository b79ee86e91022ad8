"""Writes down the AWS calls of this process's boto3 clients: what each needs, and who made it.

Clients made before it was put in between are not heard; presigned addresses count as the calls that
their holders make with them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import handlers
from botocore.signers import S3PostPresigner

from runyard_service.adapters import aws_session
from tests.fault_injection.faults import Process
from tests.permissions.required_actions import RequiredAction, required_actions


@dataclass
class Recorder:
    """The rights that each process has needed; calls of nobody's are not kept."""

    present: Callable[[], Process | None]
    _calls: list[tuple[Process, RequiredAction]] = field(default_factory=list)

    def of(self, *processes: Process) -> set[RequiredAction]:
        """What these have needed."""
        wanted = {id(process) for process in processes}
        return {right for process, right in self._calls if id(process) in wanted}

    def note(self, service: str, operation: str, params: Any) -> None:
        """A call begins."""
        process = self.present()
        if process is not None:
            self._calls += [
                (process, right) for right in required_actions(service, operation, params)
            ]


@contextmanager
def recording(present: Callable[[], Process | None]) -> Iterator[Recorder]:
    """Write down the calls of clients that are made from now on; `present` says whose they are."""
    recorder = Recorder(present)
    spec: Any = ("before-parameter-build", _hook(recorder))
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    builtin.append(spec)
    aws_session.session.cache_clear()  # It has the handlers that it was made with.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            S3PostPresigner,
            "generate_presigned_post",
            _post_hook(recorder, S3PostPresigner.generate_presigned_post),
        )
        try:
            yield recorder
        finally:
            builtin.remove(spec)
            aws_session.session.cache_clear()


def _hook(recorder: Recorder) -> Callable[..., None]:
    def before_parameter_build(params: Any, model: Any, context: Any, **_: Any) -> None:
        if model.name == "CreateBucket" and context.get("is_presign_request"):
            return  # How botocore finds a presigned post's address; the post itself comes below.
        recorder.note(model.service_model.service_id, model.name, params)

    return before_parameter_build


def _post_hook(recorder: Recorder, generate: Any) -> Any:
    def hooked(self: Any, request_dict: Any, **options: Any) -> Any:
        found = {
            name: value
            for one in options["conditions"]
            if isinstance(one, dict)
            for name, value in one.items()
        }
        recorder.note("S3", "PostObject", {"Bucket": found["bucket"], "Key": found["key"]})
        return generate(self, request_dict, **options)

    return hooked
