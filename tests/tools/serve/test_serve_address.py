"""Where the page listens, and the token that other hosts need."""

from __future__ import annotations

import pytest

from synthpert.errors import InputError
from tools.serve import address
from tools.serve.address import is_local, listen, names_of, require_gradio, token_for, url


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_local(host)
    assert token_for(host, None) is None
    assert host in names_of(host)


def test_this_machine_may_have_one() -> None:
    assert token_for("127.0.0.1", "x" * 16) == "x" * 16


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "node7"])
def test_another_host_gets_a_warning_and_a_token(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = token_for(host, None), token_for(host, None)
    assert one != other
    assert len(one or "") >= 24
    assert "not encrypted" in caplog.text
    assert str(one) not in caplog.text


def test_a_short_token_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="too short") as caught:
        token_for("0.0.0.0", "secret")
    assert "secret" not in str(caught.value)


def test_an_address_of_another_machine_is_told_from_a_port_in_use() -> None:
    with pytest.raises(InputError, match=r"expected an address of this machine"):
        listen("192.0.2.1", 0)


def test_a_port_in_use_is_one_line_with_the_remedy() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=r"already in use.*expected another port"):
            listen("127.0.0.1", port)


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(InputError, match="no such address"):
        listen("no such host", 7860)


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot listen here"):
        listen("192.0.2.1", 0)


def test_the_address_is_one_to_type_in() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert url("127.0.0.1", listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_without_gradio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'synthpert\[serve\]'"):
        require_gradio()
