"""Rows D1 to D9 and D72 to D76 of the fault table: no connection, no trust, and what the environment says."""

import errno
import os
import socket
import sys
import threading

import pytest
from disks import raising
from fault_server import redirect, reply, serving
from fetching import FILE, FLIPPED, GOOD, HTML, names, refusal

from pipeline.datasets.fetch import fetch
from pipeline.datasets.transport import shown


@pytest.fixture
def dead():
    """The address of a port that refuses; nobody else gets this port meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


# D1 to D4: no connection


def test_D1_connection_refused(dead, server, folder, patience, waits):
    message = refusal(folder, [dead], patience)
    assert "Connection refused" in message
    assert waits == [0.5, 1.0, 2.0]
    fetch(FILE, folder, [dead, server.mirror(reply(GOOD))], patience)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(socket.EAI_NONAME, "Name or service not known", id="D2-unknown-name"),
        pytest.param(socket.EAI_AGAIN, "Temporary failure in name resolution", id="D3-no-answer"),
    ],
)
def test_a_name_that_is_not_found(code, reason, folder, patience, waits, monkeypatch):
    def getaddrinfo(*_args, **_kwargs):
        raise socket.gaierror(code, reason)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    message = refusal(folder, ["https://mirror.invalid/a", "http://mirror.invalid/b"], patience)
    assert message.count(reason) == 2
    assert len(waits) == 6


def test_D3_a_lookup_that_does_not_return_is_not_waited_for(folder, patience, monkeypatch):
    over, returned = threading.Event(), []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: returned.append(over.wait(60)) or [])
    assert "out of time" in refusal(folder, ["http://mirror.invalid/"], patience._replace(start=0.1))
    assert not returned
    over.set()


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ENETUNREACH], ids=errno.errorcode.get)
def test_D4_no_route(code, folder, patience, monkeypatch):
    def connect(*_args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert os.strerror(code) in refusal(folder, ["http://127.0.0.1:9/"], patience)


def test_every_mirror_has_its_reason_in_the_message(server, folder, patience):
    mirrors = [server.mirror(reply(b"", 404)), server.mirror(reply(FLIPPED)), "/mnt/mnist"]
    message = refusal(folder, mirrors, patience)
    for mirror, reason in zip(mirrors, ["HTTP 404", "SHA-256", "not a URL"], strict=True):
        assert f"{mirror}/{FILE.name}: " in message
        assert reason in message


def test_without_a_mirror_the_message_says_so(folder, patience):
    assert "none is named" in refusal(folder, [], patience)


# D5 to D9 and D23: TLS, with a certificate authority of our own


def test_D5_a_good_certificate_is_accepted(authority, folder, patience):
    with serving(authority.context()) as server:
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder) == [FILE.name]


CERTIFICATES = {
    "D5-self-signed": ({"self_signed": True}, "self-signed certificate"),
    "D6-expired": ({"days": -1}, "certificate has expired"),
    "D7-wrong-host": ({"address": "127.0.0.2"}, "certificate is not valid for"),
}


@pytest.mark.parametrize(("properties", "reason"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_a_bad_certificate_leads_to_the_next_mirror(properties, reason, authority, server, folder, patience, waits):
    with serving(authority.context(**properties)) as untrusted:
        bad = untrusted.mirror(reply(GOOD))
        assert reason in refusal(folder, [bad], patience)
        good = server.mirror(reply(GOOD))
        assert fetch(FILE, folder, [bad, good], patience) == f"{good}/{FILE.name}"
        assert untrusted.requests == []
    assert waits == []


def test_D8_https_is_not_answered_with_http(server, folder, patience):
    mirror = server.mirror(reply(GOOD))
    message = refusal(folder, [mirror.replace("http:", "https:")], patience)
    assert "SSL" in message
    assert server.requests == []


def test_D9_an_authority_that_nobody_knows(authority, folder, patience, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(authority.context()) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(folder, [server.mirror(reply(GOOD))], patience)


def test_D23_a_redirect_from_https_to_http_is_refused(authority, server, folder, patience):
    plain = server.mirror(reply(GOOD))
    with serving(authority.context()) as secure:
        message = refusal(folder, [secure.mirror(redirect(f"{plain}/x?signature=secret"))], patience)
    assert f"redirects to {plain}/x?***, which is refused" in message
    assert server.requests == []


def test_D23_a_redirect_from_http_to_https_and_another_host_is_followed(authority, server, folder, patience):
    with serving(authority.context()) as secure:
        fetch(FILE, folder, [server.mirror(redirect(f"{secure.mirror(reply(GOOD))}/x"))], patience)
    assert names(folder) == [FILE.name]


# D72 to D76: what the environment says


def test_D72_a_dead_proxy_is_named(dead, server, folder, patience, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", dead.replace("//", "//me:secret@"))
    message = refusal(folder, [server.mirror(reply(GOOD))], patience)
    assert f"Connection refused, through the proxy {dead.replace('//', '//***@')}" in message
    assert server.requests == []


def test_D72_a_proxy_that_refuses_is_named(server, folder, patience, monkeypatch):
    mirror = server.mirror(reply(b"", 407))
    monkeypatch.setenv("HTTP_PROXY", server.root)
    reason = f"HTTP 407 Proxy Authentication Required, through the proxy {server.root}"
    assert reason in refusal(folder, [mirror], patience)


def test_D72_a_socks_proxy_says_what_to_install(folder, patience, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv("HTTP_PROXY", "socks5h://me:secret@127.0.0.1:9")
    message = refusal(folder, ["http://127.0.0.1:9/"], patience)
    assert (
        "the proxy socks5h://***@127.0.0.1:9 speaks SOCKS, which needs one more package: pip install pysocks" in message
    )


@pytest.mark.parametrize("proxy", ["http://[", "what://me@x", "http://me@:0/", "http://x:99999"], ids="D72-{}".format)
def test_a_garbage_proxy(proxy, server, folder, patience, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    message = refusal(folder, [server.mirror(reply(GOOD))], patience)
    assert "is not of the form http://host:port; correct http_proxy" in message or "not a URL" in message


def test_D72_a_proxy_that_lives_is_used(server, folder, patience, monkeypatch):
    mirror = server.mirror(reply(GOOD))
    monkeypatch.setenv("HTTP_PROXY", server.root)
    fetch(FILE, folder, [mirror], patience)
    assert server.requests[0].startswith(f"GET {mirror}/{FILE.name} ")


def test_D73_no_proxy_is_heeded(dead, server, folder, patience, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", dead)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)


def test_D74_a_bundle_of_authorities_that_does_not_exist(authority, folder, patience, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/authorities.pem")
    with serving(authority.context()) as server:
        assert "/nonexistent/authorities.pem" in refusal(folder, [server.mirror(reply(GOOD))], patience)


def test_D74_either_variable_may_name_the_bundle(authority, folder, patience, monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.bundle))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(authority.context()) as server:
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)


def test_D74_a_bundle_of_authorities_that_is_none(authority, folder, patience, tmp_path, monkeypatch):
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "empty.pem"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(authority.context()) as server:
        refusal(folder, [server.mirror(reply(GOOD))], patience)
        assert server.requests == []


def test_D75_the_passwords_of_netrc_are_sent_to_nobody(server, folder, patience, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elsewhere = server.mirror(reply(GOOD)).replace("127.0.0.1", "localhost")
    fetch(FILE, folder, [server.mirror(redirect(f"{elsewhere}/x"))], patience)
    assert len(server.requests) == 2
    assert not any("authorization" in request.lower() for request in server.requests)


def test_D75_a_password_in_the_url_goes_to_that_host_alone_and_is_not_printed(server, folder, patience):
    with serving() as elsewhere:
        good, denied = elsewhere.mirror(reply(GOOD)), elsewhere.mirror(reply(b"", 403))
        ours = server.mirror(redirect(f"{denied}/x"), redirect(f"{good}/x")).replace("//", "//me:secret@")
        assert "secret" not in refusal(folder, [ours], patience)
        assert "secret" not in fetch(FILE, folder, [ours], patience)
        assert all("Authorization: Basic " in request for request in server.requests)
        assert not any("authorization" in request.lower() for request in elsewhere.requests)


# places of a secret in a text that a user writes: {} is the secret
WRITTEN = [
    "user:{}@h/x/",
    "http:/user:{}@h/",
    "http:user:{}@h/",
    "http:///user:{}@h/",
    "file://user:{}@h/",
    "file:///user:{}@h/",
    "http://user:{}@h/",
    "HTTP://user:{}@h:port/",
    "http://{}@h/",
    "http://{}:@h/",
    "http://{}:x-oauth-basic@h/",
    "http://user:{}@",
    "http://user:{}@h/x@y/",
    "http://user:{}@[::1/",
    "http://http://user:{}@h/",
    "http//user:{}@h/",
    "://user:{}@h/",
    "//user:{}@h/",
    "htp://user:{}@h/",
    "ftp://user:{}@h/",
    "socks5://user:{}@h/",
    "socks://user:{}@h/",
    "http://user:{}@a..b/",
    "http://user:{}@h:99999/",
    "https://h/x?token={}",
    "https://h/x/?a=b&token={}",
    "https://h/x#{}",
    "https://h/x;token={}",
    "https://h/x&token={}",
    "https://h?token={}",
    "https://h&token={}",
    "https://h/token={}",
    "https://h/x%3Ftoken%3D{}",
    "?token={}",
    "/x?token={}",
]
BETWEEN = ["", *"/?#@ :%\\;&=[]^\t\x1bü", "//", "%40", "%2F", "@h/", " http:"]


@pytest.mark.parametrize("written", WRITTEN)
def test_D75_no_message_shows_what_may_be_a_password_or_a_token(written, folder, patience, monkeypatch):
    """The secrets are digits, because digits might be a port; characters that may end a part of a URL cut them."""
    monkeypatch.setattr(socket, "getaddrinfo", raising(socket.gaierror(socket.EAI_NONAME, "unknown name")))
    patience = patience._replace(tries=1)
    for between in BETWEEN:
        url = written.format(f"9371{between}9372")
        assert "937" not in refusal(folder, [url], patience)
        monkeypatch.setenv("HTTP_PROXY", url)
        assert "937" not in refusal(folder, ["http://127.0.0.1:9/"], patience)
        monkeypatch.delenv("HTTP_PROXY")


@pytest.mark.parametrize("url", ["http://user:secret/", "http:/user:secret", "user:secret", "https://user:secret:1/x"])
def test_D75_a_forgotten_host_does_not_show_the_password(url, folder, patience):
    assert "secret" not in refusal(folder, [url], patience)


SHOWN = {
    "https://host:8080/a/b c": "https://host:8080/a/b c",
    "http://me:secret@[::1]:80/x?a=b": "http://***@[::1]:80/x?***",
    "file:///mnt/C#/a? b:c": "file:///mnt/C#/a? b:c",
    "/mnt/mnist": "/mnt/mnist",
    "http://a/\x1b[2J\n\u202e": r"http://a/\x1b[2J\n\u202e",
}


@pytest.mark.parametrize(("url", "message"), SHOWN.items())
def test_D75_what_is_no_secret_is_shown(url, message):
    assert shown(url) == message


@pytest.mark.parametrize("name", ["a folder, 100 %", "C#", "a?b", "100%41", "a;b=c@d&e", "ü"])
def test_D76_a_file_url_is_a_mirror_as_people_write_it_and_as_programs_do(name, tmp_path, folder, patience):
    mirror = tmp_path / name
    mirror.mkdir()
    (mirror / FILE.name).write_bytes(GOOD)
    for url in (mirror.as_uri() + "/", f"file://{mirror}", f"FILE://localhost{mirror}/", f"file:{mirror}"):
        assert fetch(FILE, folder, [url], patience) != "kept"
        (folder / FILE.name).unlink()


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("/mnt/mnist", "a folder is file:///its/path/"),
        ("mnist", "a folder is file:///its/path/"),
        ("C:\\mnist", "a folder is file:///its/path/"),
        ("", "a folder is file:///its/path/"),
        ("ftp://127.0.0.1", "not a URL with https:"),
        ("file://mnt/mnist", "names a host"),
        ("file:///nonexistent", "No such file or directory"),
        ("file:///etc/passwd", "Not a directory"),
        ("file:///%00", "null byte"),
        ("http://", "not a URL of the form https://host/folder/"),
        ("http://[", "not a URL of the form"),
        ("http://127.0.0.1:99999", "not a URL of the form"),
        ("http://a..b", "not a URL of the form"),
        ("http://a/ /mnt/mnist", "a space as %20"),
    ],
    ids="D76-{}".format,
)
def test_a_mirror_that_is_no_url_leads_to_the_next(mirror, reason, server, folder, patience):
    assert reason in refusal(folder, [mirror], patience)
    fetch(FILE, folder, [mirror, server.mirror(reply(GOOD))], patience)


def test_D76_a_file_url_of_something_endless(tmp_path, folder, patience):
    (tmp_path / FILE.name).symlink_to("/dev/zero")
    assert "sent more than" in refusal(folder, [tmp_path.as_uri()], patience)


def test_D76_a_file_url_of_a_pipe_that_nobody_writes_to(tmp_path, folder, patience):
    pipe = tmp_path / FILE.name
    os.mkfifo(pipe)
    assert "out of time" in refusal(folder, [tmp_path.as_uri()], patience._replace(start=0.1))
    pipe.open("wb").close()  # lets the thread go


def test_nothing_that_a_server_says_can_write_to_the_terminal(server, folder, patience):
    hostile = server.mirror(reply(HTML, 200, "Content-Type: text/\x1b]0;gotcha\x07"))
    assert refusal(folder, [hostile], patience).isprintable()
