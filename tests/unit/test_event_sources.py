"""Event sources of the local stack: its stream checkpoints, and the template's mappings."""

from pathlib import Path

from runyard_dev.emulators.stream_source import StreamCheckpoints
from runyard_dev.template.template import read_template


def test_a_checkpoint_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "streams.json"
    checkpoints = StreamCheckpoints(file)
    assert checkpoints.get("s") is None
    checkpoints.set("s", "7")
    checkpoints.set("t", "1")
    checkpoints.set("s", "8")
    assert (StreamCheckpoints(file).get("s"), StreamCheckpoints(file).get("t")) == ("8", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["streams.json"]


def test_the_mappings_of_the_template_are_read() -> None:
    template = read_template(Path("template.yaml"))
    sources = {source.function: source for source in template.event_sources}
    stream = sources["runyard-publish-events-function"]
    assert (stream.service, stream.name) == ("dynamodb", template.tables[0].name)
    queue = sources["runyard-deliver-webhook-function"]
    names = [one.name for one in template.queues]
    assert (queue.service, queue.name) == ("sqs", names[0])
    assert stream.name == "runyard-events-table"
    redrive = template.queues[0].attributes["RedrivePolicy"]
    assert names[1] in redrive
    assert template.functions["ApiFunction"].environment["WEBHOOK_QUEUE_URL"].endswith(names[0])
    assert template.buses == ("runyard-events",)
