"""The two endpoints: API Gateway for the API, a function URL for streams."""

import pytest

from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_service.api.app import CORS_REQUEST_HEADERS
from tests.template.repository import ROOT, Translated

# Browsers send these without asking (Fetch standard, "CORS-safelisted request-header").
SAFELISTED = {"accept", "accept-language", "content-language", "range"}


def test_the_function_url_streams(translated: Translated) -> None:
    url = translated.properties("StreamFunctionUrl")
    assert url["InvokeMode"] == "RESPONSE_STREAM"
    assert translated.variables("StreamFunction")["AWS_LWA_INVOKE_MODE"] == "response_stream"


def test_every_caller_may_invoke_the_function_url(translated: Translated) -> None:
    """A new URL without one of the two permissions always returns 403."""
    allowed = {
        permission["Action"]
        for permission in translated.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == {"Ref": "StreamFunction"}
    }
    assert allowed == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}


def test_the_function_url_invokes_the_newest_code(translated: Translated) -> None:
    """An alias of SAM would invoke old code: a changed layer creates no new version."""
    url = translated.properties("StreamFunctionUrl")
    assert url["TargetFunctionArn"] == {"Ref": "StreamFunction"}
    assert "Qualifier" not in url
    assert translated.of_type("AWS::Lambda::Alias") == {}


def test_every_path_of_the_api_goes_to_the_application(translated: Translated) -> None:
    body = translated.properties("HttpApi")["Body"]
    assert list(body["paths"]) == ["$default"]
    route = body["paths"]["$default"]["x-amazon-apigateway-any-method"]
    assert route["isDefaultRoute"] is True
    assert route["x-amazon-apigateway-integration"]["payloadFormatVersion"] == "2.0"


def test_web_pages_may_call_both_endpoints(translated: Translated) -> None:
    """SAM replaces the whole CORS configuration if AllowOrigins is an intrinsic function."""
    cors = translated.properties("HttpApi")["Body"]["x-amazon-apigateway-cors"]
    assert isinstance(cors["allowOrigins"], list)
    assert {"allowHeaders", "allowMethods", "exposeHeaders"} < set(cors)
    assert isinstance(translated.properties("StreamFunctionUrl")["Cors"]["AllowOrigins"], list)


def browser_may_send(header: str, allowed: list[str]) -> bool:
    """Return whether a page may send the header without credentials, by the Fetch standard.

    In a response to a preflight, `*` means every header except Authorization ("CORS
    non-wildcard request-header name").
    """
    name, names = header.lower(), {entry.lower() for entry in allowed}
    return name in SAFELISTED | names or ("*" in names and name != "authorization")


def test_browsers_do_not_read_a_wildcard_as_authorization() -> None:
    assert browser_may_send("Content-Type", ["*"])
    assert not browser_may_send("Authorization", ["*"])
    assert browser_may_send("authorization", ["*", "Authorization"])


def test_a_page_may_send_every_header_of_a_request_to_both_endpoints(
    translated: Translated,
) -> None:
    api = translated.properties("HttpApi")["Body"]["x-amazon-apigateway-cors"]["allowHeaders"]
    stream = translated.properties("StreamFunctionUrl")["Cors"]["AllowHeaders"]
    for allowed in (api, stream):
        assert [name for name in CORS_REQUEST_HEADERS if not browser_may_send(name, allowed)] == []
        assert sorted(allowed) == sorted(CORS_REQUEST_HEADERS)


def adapter_layer(region: str, **parameters: str) -> str:
    """Return the first layer of the stream function in a region."""
    document = load_document(ROOT / "template.yaml")
    resolver = Resolver(document, stack_name="s", region=region, parameters=parameters)
    layers = document["Resources"]["StreamFunction"]["Properties"]["Layers"]
    return str(resolver.resolve(layers[0]))


def test_the_layer_of_the_web_adapter_is_a_parameter() -> None:
    own = "arn:aws-cn:lambda:cn-north-1:123456789012:layer:adapter:7"
    assert adapter_layer("cn-north-1", WebAdapterLayerArn=own) == own
    assert adapter_layer("eu-west-1") == (
        "arn:aws:lambda:eu-west-1:753240598075:layer:LambdaAdapterLayerArm64:30"
    )


@pytest.mark.parametrize(
    ("region", "own", "is_accepted"),
    [
        ("us-east-1", "", True),
        ("us-gov-west-1", "", False),
        ("cn-north-1", "", False),
        ("cn-north-1", "arn:aws-cn:lambda:cn-north-1:123456789012:layer:adapter:7", True),
    ],
)
def test_a_partition_without_the_adapter_is_rejected_before_the_first_resource(
    translated: Translated, region: str, own: str, is_accepted: bool
) -> None:
    rule = translated.document["Rules"]["WebAdapterIsInThisPartition"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "WebAdapterLayerArn"}, ""]}
    [assertion] = rule["Assertions"]
    [contains] = assertion["Assert"]["Fn::Not"]
    regions, value = contains["Fn::Contains"]
    assert value == {"Ref": "AWS::Region"}
    assert (own != "" or region not in regions) is is_accepted
    assert "docs/how-to/before-you-deploy.md" in assertion["AssertDescription"]


def test_the_access_log_never_contains_a_query_string(translated: Translated) -> None:
    """A query string may contain the ticket of a stream."""
    stage = translated.properties("HttpApiApiGatewayDefaultStage")
    assert "query" not in str(stage["AccessLogSettings"]["Format"]).lower()
