"""The two ways in: API Gateway for the API, a function URL for what streams."""

from tests.template.repository import Translated


def test_the_function_url_streams(translated: Translated) -> None:
    url = translated.properties("StreamFunctionUrl")
    assert url["InvokeMode"] == "RESPONSE_STREAM"
    assert translated.variables("StreamFunction")["AWS_LWA_INVOKE_MODE"] == "response_stream"


def test_the_function_url_may_be_called_by_anybody(translated: Translated) -> None:
    """A new URL without either permission answers 403 to everyone."""
    allowed = {
        permission["Action"]
        for permission in translated.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == {"Ref": "StreamFunction"}
    }
    assert allowed == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}


def test_the_function_url_leads_to_the_newest_code(translated: Translated) -> None:
    """By an alias of SAM's it would stay with the old: a changed layer makes no new version."""
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


def test_pages_may_call_both_doors(translated: Translated) -> None:
    """SAM replaces the API's whole CORS part by AllowOrigins if that is an intrinsic function."""
    cors = translated.properties("HttpApi")["Body"]["x-amazon-apigateway-cors"]
    assert isinstance(cors["allowOrigins"], list)
    assert {"allowHeaders", "allowMethods", "exposeHeaders"} < set(cors)
    assert isinstance(translated.properties("StreamFunctionUrl")["Cors"]["AllowOrigins"], list)


def test_the_access_log_never_sees_a_query_string(translated: Translated) -> None:
    """A stream's ticket may be in it."""
    stage = translated.properties("HttpApiApiGatewayDefaultStage")
    assert "query" not in str(stage["AccessLogSettings"]["Format"]).lower()
