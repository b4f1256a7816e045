"""An S3 server for tests, on loopback: one for the session, emptied for each test.

`tests/conftest.py` names this file as a plugin, so that every test can ask for ``s3_url``.
"""

import httpx
import pytest
from moto.server import ThreadedMotoServer

S3_SECRET = "distinctive-aws-secret-77aa"


@pytest.fixture(scope="session")
def s3_endpoint():
    """The server's address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_endpoint):
    """What the variables have to be for the server to be found."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIDISTINCTIVE",
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }


@pytest.fixture
def s3_url(s3_endpoint, s3_environment, monkeypatch):
    """A place in a fresh bucket, on a server that is found by the usual variables."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"{s3_endpoint}/moto-api/reset")
    httpx.put(f"{s3_endpoint}/bucket")
    return "s3://bucket/some/prefix"
