"""Our own share of a time: what is left of it with the emulators taken off.

On the way of one run, alone on the stack, from the request to the last byte of the answer:

    door      ──▶ DynamoDB … ──▶ StartExecution or SendTaskSuccess     less: time inside DynamoDB
    machine         moto's, until the handler begins                   all of it
    handler   ──▶ DynamoDB … ──▶ the append that ends the run          less: time inside DynamoDB
    door      the tail finds it ──▶ the answer is out                  less: time inside DynamoDB

Time inside an emulator is from the first byte sent to the answer's last one, seen below boto3: what
boto3 itself takes counts as ours. So do the pauses of the tail.
"""

from collections.abc import Sequence

from benchmarks.spans import Span, covered


def own_milliseconds(spans: Sequence[Span], door: int, begun: float, ended: float) -> float:
    """Our share of the time between the two moments."""
    within = [span for span in spans if begun <= span.begun <= ended]
    moves = ("StartExecution", "SendTaskSuccess")
    moved = next(s for s in within if s.process == door and s.operation in moves)
    handler = [s for s in within if s.kind == "invoke RunStepFunction" and s.begun > moved.begun][
        -1
    ]
    at_door = [span for span in within if span.process == door and span.is_dynamodb]
    at_work = [
        span
        for span in within
        if span.process == handler.process
        and span.is_dynamodb
        and handler.begun <= span.begun <= handler.ended
    ]
    end = [span for span in at_work if span.operation == "TransactWriteItems"][-1]
    seconds = (
        (moved.begun - begun - covered(at_door, begun, moved.begun))
        + (end.ended - handler.begun - covered(at_work, handler.begun, end.ended))
        + (ended - end.ended - covered(at_door, end.ended, ended))
    )
    return seconds * 1000
