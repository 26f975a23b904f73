"""Texts that were meant as statements: what is wrong with each, and the nearest that is right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.lab.slips import names_meant, protocol_meant, slip_in
from underlay.lab.statement import said_in


@pytest.mark.parametrize(
    ("text", "found", "nearest"),
    [
        ("web => db", ["'=>'"], "web -> db"),
        ("web --> db", ["'-->'"], "web -> db"),
        ("web → db tcp", ["'→'"], "web -> db tcp"),
        ("web > db", ["'>'"], "web -> db"),
        ("web to db", ["'to'"], "web -> db"),
        ("web <- db", ["'<-'"], "db -> web"),
        ("web -X db", ["'-X'"], "web -x db"),
        ("web !-> db", ["'!->'"], "web -x db"),
        ("not web -> db", ["'not'"], "web -x db"),
        ("never web -> db tcp", ["'never'"], "web -x db tcp"),
        ("not -> db app", ["'app' behind a name"], "not -> db, app"),
        ("web never db", ["'never'"], "web -x db"),
        ("web->db tcp/80", ["-> without spaces", "'tcp/80'"], "web -> db tcp:80"),
        ("web => db 53/udp and ", ["'=>'", "'53/udp'", "'and'"], ""),
        ("web -> db tcp 80", ["'tcp 80'"], "web -> db tcp:80"),
        ("web -> db port 80", ["'port 80'"], "web -> db tcp:80"),
        ("web -> db tcp : 80", ["a space beside a colon"], "web -> db tcp:80"),
        ("web -> db TCP", ["'TCP'"], "web -> db tcp"),
        ("web -> db tpc:80", ["'tpc:80'"], "web -> db tcp:80"),
        ("web -> db tcp, udp", ["a comma behind the names"], "web -> db tcp udp"),
        ("web -> db ssh", ["'ssh'"], "web -> db tcp:22"),
        ("web -> db icmp6", ["'icmp6'"], "web -> db icmp ipv6"),
        ("web -> db ip6", ["'ip6'"], "web -> db ipv6"),
        ("web -> db any", ["'any'"], "web -> db"),
        ("web -> db sctp", ["'sctp', which no lab is measured by"], "web -> db"),
        ("web -> db tcp:70000", ["'tcp:70000'"], ""),
        ("web -> db ipv4 ipv6", ["ipv4 beside ipv6"], "web -> db"),
        ("web db", ["no direction"], "web -> db"),
        ("web, app db tcp", ["no direction"], "web, app -> db tcp"),
        ("web", ["no direction"], ""),
        ("web ->", ["nobody behind the direction"], ""),
        ("-> db", ["nobody before the direction"], ""),
        ("a -> b -> c", ["two directions"], "a -> b"),
        ("web <-> db", ["'<->', both ways"], "web -> db"),
        ("web -> db app", ["'app' behind a name"], "web -> db, app"),
        ("web and app -> db", ["'and' behind a name"], "web, app -> db"),
        ("web, -> db", ["a comma or except without a name behind it"], "web -> db"),
        ("web -> dé", ["'dé' as a name"], ""),
        ("web -> db pmtu:100", ["'pmtu:100'"], ""),
        ("web -> db source=10.1.1.1", ["'source=10.1.1.1'"], "web -> db source:10.1.1.1"),
        ("web -> db icmp pmtu:1400", ["pmtu:1400 beside icmp"], "web -> db pmtu:1400"),
        ("web -x db pmtu:1400", ["pmtu:1400 beside -x"], ""),
        ("", ["an empty text"], ""),
        ("x" * 4000, ["a text of more than a line"], ""),
    ],
)
def test_each_slip_is_named_with_the_nearest_statement(
    text: str, found: list[str], nearest: str
) -> None:
    with pytest.raises(ValueError, match="no "):
        said_in(text)
    slip = slip_in(text)
    assert slip.found == found
    assert slip.expected
    assert slip.nearest == nearest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(("tcp/80", "tcp:80"), ("80/tcp", "tcp:80"), ("UDP:53", "udp:53"), ("tcp80", "tcp:80")),
        *(("ping", "icmp"), ("https", "tcp:443"), ("tpc", "tcp"), ("tcp:0", ""), ("sctp", "")),
        *(("x", ""), ("", ""), ("tcp:http", "")),
    ],
)
def test_the_protocol_that_a_word_was_meant_to_be(word: str, meant: str) -> None:
    assert protocol_meant(word) == meant


def test_the_names_that_a_text_was_meant_to_be() -> None:
    assert names_meant("web app") == "web, app"
    assert names_meant("web, and app except db,") == "web, app except db"
    assert names_meant("é") == ""


WORDS = st.sampled_from(
    [
        *("web", "db", "->", "-x", "=>", "<->", ",", "except", "tcp", "tcp/80", "tcp:99999", "80"),
        *("ipv4", "ipv6", "and", "pmtu:1", "source:::", "(", "é", "*", "to", "never", "a->b", ":"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=9).map(" ".join) | st.text(max_size=40))
def test_whatever_is_written_has_an_answer(text: str) -> None:
    slip = slip_in(text)
    assert slip.found
    assert slip.expected
    if slip.nearest:
        assert str(said_in(slip.nearest)) == slip.nearest
