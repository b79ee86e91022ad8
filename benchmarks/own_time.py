"""Our own share of a time: what is left of it with the emulators taken off.

On the way of one run, alone on the stack, from the request to the last byte of the answer:

    server    ──▶ DynamoDB … ──▶ StartExecution or SendTaskSuccess     less: time inside DynamoDB
    machine   moto's, until the handler starts                           all of it
    handler   ──▶ DynamoDB … ──▶ the append that ends the run          less: time inside DynamoDB
    server    the tail finds it ──▶ the answer is out                  less: time inside DynamoDB

Time inside an emulator is from the first byte sent to the answer's last one, seen below boto3: what
boto3 itself takes counts as ours. So do the pauses of the tail.
"""

from collections.abc import Sequence

from benchmarks.spans import Span, covered


def own_milliseconds(spans: Sequence[Span], server: int, started: float, ended: float) -> float:
    """Our share of the time between the two moments."""
    within = [span for span in spans if started <= span.started <= ended]
    moves = ("StartExecution", "SendTaskSuccess")
    moved = next(s for s in within if s.process == server and s.operation in moves)
    handler = [
        s for s in within if s.kind == "invoke RunStepFunction" and s.started > moved.started
    ][-1]
    in_server = [span for span in within if span.process == server and span.is_dynamodb]
    in_worker = [
        span
        for span in within
        if span.process == handler.process
        and span.is_dynamodb
        and handler.started <= span.started <= handler.ended
    ]
    end = [span for span in in_worker if span.operation == "TransactWriteItems"][-1]
    seconds = (
        (moved.started - started - covered(in_server, started, moved.started))
        + (end.ended - handler.started - covered(in_worker, handler.started, end.ended))
        + (ended - end.ended - covered(in_server, end.ended, ended))
    )
    return seconds * 1000
