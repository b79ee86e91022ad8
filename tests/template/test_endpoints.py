"""The two endpoints: API Gateway for the API, a function URL for streams."""

from tests.template.repository import Translated


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


def test_the_access_log_never_contains_a_query_string(translated: Translated) -> None:
    """A query string may contain the ticket of a stream."""
    stage = translated.properties("HttpApiApiGatewayDefaultStage")
    assert "query" not in str(stage["AccessLogSettings"]["Format"]).lower()
