"""What is wanted of a lab: each kind of statement kept and broken, and what is no statement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.errors import EXIT_BAD_INPUT, EXIT_DIFFERS, EXIT_OK
from underlay.expect import Prediction, predict
from underlay.expect.intent import of_predictions
from underlay.expect.intent.before_boot import intent_findings
from underlay.lab.statement import said_in
from underlay.lab.text import LabError
from underlay.lint import Finding, Loaded, load
from underlay.lint.read import read_lab
from underlay.plan import make_plan, plan_from_json
from underlay.proof.choice import Choice

LAB = """\
name: made
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24, subnet6: "fd00:70::/64"}
networks:
  office: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24, subnet6: "fd00:1::/64"}
  guests: {driver: ipvlan, mode: l2, segment: lan, vlan: 90, subnet: 10.2.0.0/24}
containers:
  - {on: all, name: web, networks: [office]}
  - {on: core-01, name: db, networks: [office], listens: ["tcp:5432"]}
  - {on: all, name: guest, networks: [guests]}
  - {on: core-01, name: both, networks: [office, guests]}
hosts:
  printer: {on: {lan: {addresses: [192.168.70.250/24, 10.1.0.250/24]}}}
protocols: [icmp, tcp, "tcp:5432"]
filters:
  - {on: db, protocol: icmp, from: web-2a, action: drop}
  - {on: web-1a, protocol: icmp, direction: out, to: guest-1a, action: drop}
expect:
"""
FIRST = LAB.count("\n") + 1


def lab(folder: Path, *statements: str) -> Path:
    file = folder / "made.yml"
    file.write_text(LAB + "".join(f"  - {one}\n" for one in statements))
    return file


def made(folder: Path, *statements: str) -> Loaded:
    return load(lab(folder, *statements))


def findings(folder: Path, *statements: str) -> list[Finding]:
    return intent_findings(made(folder, *statements))


@pytest.mark.parametrize(
    ("kept", "broken"),
    [
        # A single protocol of a single pair, and one more pair of which a filter takes it.
        ("web-1a -> db icmp", "web -> db icmp"),
        ("web -> db tcp:5432", "db -> web tcp:5432"),
        # Who must, must by what every end answers; never is by nothing, ports included.
        ("web-1a -> db", "web-2a -> db"),
        ("guest -x web", "web-1a -x db"),
        ("guest-* -x web*", "guest-[12]a -x gu?st"),
        ("guests except both -x db, web", "office -x db, web"),
        ("core-02 -> web-1a icmp", "core-01 -> web-1a icmp"),
        ("core-01 -x db", "core-02 -x db"),
        ("printer -> web icmp", "printer -x web icmp"),
        ("'* except web, core-02, printer, both -x db'", "'* except web, core-02, printer -x db'"),
        ("both@guests -> guest icmp", "both@office -> guest icmp"),
        ("web -> web-1a icmp ipv6", "web -x web-1a icmp ipv6"),
        # An end as the matrix prints it, and that of all of a group; also where there is but one.
        ("web@office -> db@office tcp:5432", "web-2a@office -> db@office icmp"),
        ("both@office -> web", "both@office -x web@office"),
        # Words for all of a kind.
        ("hosts -> web icmp", "nodes, hosts -> web icmp"),
        ("hosts -> web@office icmp", "hosts -x containers except guests"),
        ("web-1a -> containers except guests, both@guests tcp", "containers -x db"),
        ("{from: web, to: db, tcp: 5432}", "{from: web, to: db, tcp: 5432, never: true}"),
        ("{from: [guest, core-01], to: db, never: true}", "{from: [web], to: db, never: true}"),
        ("{from: web-1a, to: db, protocols: [tcp]}", "{from: web, to: db, protocols: [icmp, tcp]}"),
        (
            "{from: web, to: db, tcp: 5432, family: 6}",
            "{from: web, to: db, family: 6}",
        ),
    ],
)
def test_a_statement_is_kept_or_broken(kept: str, broken: str, tmp_path: Path) -> None:
    assert findings(tmp_path, kept) == []
    found = {(one.id, one.severity, one.line) for one in findings(tmp_path, broken)}
    assert found == {("intent-broken", "error", FIRST)}


def test_a_finding_says_who_what_why_and_where(tmp_path: Path) -> None:
    (one,) = findings(tmp_path, "web -> db icmp")
    assert one.message.startswith(
        f"web-2a does not reach db (icmp, icmp6), although line {FIRST} says web -> db icmp."
    )
    cell = next(
        cell
        for cell in predict(made(tmp_path, "web -> db icmp").plan)
        if (cell.source, cell.destination, cell.protocol) == ("web-2a", "db", "icmp")
    )
    assert cell.because in one.message
    assert f"[{cell.rule}]" in one.message
    assert one.source == cell.reference


def test_pairs_beyond_a_few_are_counted(tmp_path: Path) -> None:
    (one, *_) = findings(tmp_path, "office -x office tcp")
    assert "more pairs, although" in one.message


def test_a_request_that_gets_there_is_against_never(tmp_path: Path) -> None:
    # What web-1a sends gets to web-2a, and the answer is taken: nor is it who must reach.
    text = LAB.replace(
        "  - {on: web-1a, protocol: icmp, direction: out, to: guest-1a, action: drop}",
        "  - {on: web-2a, protocol: tcp, direction: out, to: web-1a, action: drop}",
    )
    for statement, broken in (
        ("web-1a -x web-2a tcp", 1),
        ("web-1a -> web-2a tcp", 1),
        # Nobody listens there: it is refused, and nobody got it.
        ("web-2a -x web-1a tcp:5432", 0),
    ):
        file = tmp_path / "made.yml"
        file.write_text(f"{text}  - {statement}\n")
        found = intent_findings(load(file))
        assert bool(found) == broken, statement
        # It is said as the matrix shows it, where it is a dot.
        arrives = "a request of web-1a arrives at web-2a (tcp, tcp6)"
        assert [arrives in one.message for one in found] == ["-x" in statement] * broken
        assert not any("web-1a reaches web-2a" in one.message for one in found)


@pytest.mark.parametrize(
    ("statement", "where", "hint"),
    [
        ("webb -> db", "'webb'", "did you mean web?"),
        ("web -> dbs*", "'dbs*'", "did you mean db?"),
        ("{from: web, to: ofice}", "'ofice'", "did you mean office?"),
        ("core-03 -x db", "'core-03'", "all names here: "),
        ("web -> bd", "'bd'", "did you mean db?"),
        ("2a -> db", "'2a'", "did you mean web-2a?"),
        ("web@ofice -> db", "'web@ofice'", "web is there as web@office"),
        ("web@guests -> db", "'web@guests'", "web is there as web@office"),
        ("both@lan -> db", "'both@lan'", "both is there as both@office, both@guests"),
        ("printer@lan -> db", "'printer@lan'", "printer alone, without an @"),
        ("node -> db", "'node'", "did you mean nodes?"),
        ("'* except wbe -x db'", "'wbe'", "did you mean web?"),
        ("db except db -> web", "'db except db'", "takes out everybody"),
    ],
)
def test_who_stands_for_nobody(statement: str, where: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        made(tmp_path, "web -> db tcp:5432", statement)
    (problem,) = error.value.problems
    assert (problem.id, problem.line) == ("expect-nobody", FIRST + 1)
    assert problem.found == where
    assert hint in problem.hint


def test_an_address_is_told_as_whose_it_is(tmp_path: Path) -> None:
    plan = make_plan(read_lab(lab(tmp_path, "web -> db")))
    db = next(one for one in plan.containers if one.name == "db").attachments[0]
    for address, owner in ((db.address.ip, "db"), (plan.nodes[0].nics[0].address.ip, "core-01")):
        with pytest.raises(LabError) as error:
            made(tmp_path, f"web -> {address}")
        assert error.value.problems[0].hint == f"{address} is {owner}'s address: write {owner}"
    with pytest.raises(LabError) as error:
        made(tmp_path, "web -> 203.0.113.9")
    assert error.value.problems[0].hint.startswith("all names here: ")


def test_who_would_have_to_listen_is_the_cure(tmp_path: Path) -> None:
    (one,) = findings(tmp_path, "db -> web-1a tcp:5432")
    assert "[nobody-listens]" in one.message
    assert one.cure.startswith('give web-1a `listens: ["tcp:5432"]` below `containers`')
    assert "listens" not in findings(tmp_path, "web -> db icmp")[0].cure


def test_a_port_is_a_protocol_s(tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        made(tmp_path, "{from: web, to: db, port: 80}")
    assert error.value.problems[0].hint == "write tcp: 80, or udp"


@pytest.mark.parametrize(
    ("statement", "column"),
    [("web -> db udp", 5), ("{from: web, to: db, udp: 53}", 30), ("web -> db tcp:80", 5)],
)
def test_what_no_cell_asks_for(statement: str, column: int, tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        made(tmp_path, statement)
    (problem,) = error.value.problems
    assert (problem.id, problem.line, problem.column) == ("expect-unmeasured", FIRST, column)
    assert problem.hint.startswith("protocols: [icmp, tcp, tcp:5432, ")


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("web -> db", "office -x db", True),
        ("web -x db icmp", "web-1a -> db icmp", True),
        ("web -> db icmp", "web -x db tcp", False),
        ("web -> db icmp ipv4", "web -x db icmp ipv6", False),
        ("web -> db", "'* except web -x db'", False),
        # Who must reach without a port isn't asked for by one.
        ("web -> db", "web -x db tcp:5432", False),
        # No cell leads from somebody to itself, nor from machine to machine.
        ("web-1a -> web-1a, web-2a", "web-2a -x web-2a, db", False),
        ("core-01 -> core-02, web-1a", "core-01 -x core-02", False),
    ],
)
def test_statements_that_contradict_each_other(
    first: str, second: str, conflict: bool, tmp_path: Path
) -> None:
    if not conflict:
        made(tmp_path, first, second)
        return
    with pytest.raises(LabError) as error:
        made(tmp_path, first, second)
    (problem,) = error.value.problems
    assert (problem.id, problem.line) == ("expect-conflict", FIRST + 1)
    assert f"while line {FIRST} says" in problem.found
    assert "is in both" in problem.hint


SEEN = """\
name: seen
nodes: 2
checks: [source, pmtu]
segments:
  lan: {subnet: 192.168.70.0/24, subnet6: "fd00:70::/64", mtu: 1400}
networks:
  inner: {driver: bridge, nat: true, segment: lan, subnet: 10.3.1.0/24, mtu: 1300}
  wire: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, subnet6: "fd00:1::/64"}
containers:
  - {on: core-01, name: hidden, networks: [inner]}
  - {on: all, name: open, networks: [wire], count: 2}
  - {on: core-01, name: fixed, networks: [wire], addresses: {wire: 10.1.1.77}}
hosts:
  server: {on: {lan: {}}}
protocols: [icmp]
expect:
"""


@pytest.mark.parametrize(
    ("kept", "broken", "word"),
    [
        (
            "hidden -> server source:192.168.70.11",
            "hidden -> server source:10.3.1.1",
            "hidden is seen by server with the source address 192.168.70.11, although",
        ),
        (
            "fixed -> server source:10.1.1.77",
            "open, fixed -> server source:10.1.1.77",
            "open-1a is seen by server with the source address 10.1.1.",
        ),
        (
            "{from: fixed, to: server, source: 10.1.1.77, pmtu: 1400}",
            "{from: hidden, to: server, source: 192.168.70.11, pmtu: 1301}",
            "hidden is seen by server with packets of at most 1300 bytes, although",
        ),
        (
            "open -> fixed pmtu:1400 ipv6",
            "open -> fixed pmtu:1401 ipv6",
            "open-1a is seen by fixed with packets of at most 1400 bytes",
        ),
    ],
)
def test_what_must_be_seen(kept: str, broken: str, word: str, tmp_path: Path) -> None:
    file = tmp_path / "seen.yml"
    file.write_text(f"{SEEN}  - {kept}\n")
    assert intent_findings(load(file)) == []
    file.write_text(f"{SEEN}  - {broken}\n")
    (one,) = intent_findings(load(file))
    assert (one.id, one.line) == ("intent-broken", SEEN.count("\n") + 1)
    assert one.message.startswith(word)
    assert "-seen]" in one.message


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("{from: open, to: server, source: 10.1.1.5, never: true}", "expect-mixed"),
        ("{from: open, to: server, pmtu: 1400, protocols: [icmp]}", "expect-mixed"),
        ("open -x server pmtu:1400", "bad-value"),
        ("open -> server icmp pmtu:1400", "bad-value"),
        ("open -> server source:10.1.1", "bad-value"),
        ("open -> server source:10.1.1.5 source:10.1.1.6", "bad-value"),
        ("{from: open, to: server, source: 10.1.1.0/24}", "bad-value"),
    ],
)
def test_what_is_seen_is_asked_apart(statement: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "seen.yml"
    file.write_text(f"{SEEN}  - {statement}\n")
    with pytest.raises(LabError) as error:
        load(file)
    assert [problem.id for problem in error.value.problems] == [kind]


def test_what_is_seen_has_to_be_among_the_checks(tmp_path: Path) -> None:
    file = tmp_path / "seen.yml"
    file.write_text(
        SEEN.replace("[source, pmtu]", "[pmtu]") + "  - open -> server source:10.1.1.5\n"
    )
    with pytest.raises(LabError, match="expect-unmeasured") as error:
        load(file)
    assert error.value.problems[0].hint == "checks: [pmtu, source]"


def test_what_never_gets_there_is_not_seen(tmp_path: Path) -> None:
    file = tmp_path / "seen.yml"
    file.write_text(f"{SEEN}  - server -> hidden pmtu:1000\n")
    (one,) = intent_findings(load(file))
    assert one.id == "intent-no-cell"
    assert "nothing of server gets to hidden. " in one.message
    assert "whose packets get there" in one.cure


def test_a_segment_without_ipv6_is_why_its_node_is_not_asked(tmp_path: Path) -> None:
    file = lab(tmp_path, "core-01 -> web-2a ipv6")
    assert intent_findings(load(file)) == []
    file.write_text(file.read_text().replace(', subnet6: "fd00:70::/64"}', "}"))
    (one,) = intent_findings(load(file))
    assert "core-01 has no IPv6 address there" in one.message
    assert one.cure == "leave the family out, or give their segments a subnet6"


@pytest.mark.parametrize(
    ("statement", "why", "cure"),
    [
        ("core-01 -> core-02", "there are only nodes on both sides", "name a container"),
        ("nodes -> printer", "there are only nodes and external hosts", "name a container"),
        ("db -x db", "db is all that is on either side, and nobody asks itself", "somebody else"),
        ("guest-1a -> guest-1a", "guest-1a is all that is on either side", "somebody else"),
        ("both@office -> both@guests", "both is all that is on either side", "somebody else"),
        (
            "guest -> web ipv6",
            "guest-1a, guest-2a have no IPv6 address",
            "leave the family out, or give guests a subnet6",
        ),
        ("guest-1a -> db ipv6", "guest-1a has no IPv6 address", "give guests a subnet6"),
    ],
)
def test_ends_that_do_not_ask_each_other(
    statement: str, why: str, cure: str, tmp_path: Path
) -> None:
    (one,) = findings(tmp_path, statement)
    assert why in one.message
    assert cure in one.cure
    assert (one.id, one.line) == ("intent-no-cell", FIRST)
    loaded = made(tmp_path, statement)
    plan = loaded.plan
    (stands,) = of_predictions(plan.intent, Prediction(plan))
    assert stands.word == "not measured"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web -> db", "web -> db"),
        ("  web,db   ->   a , b  tcp  icmp ipv6 ", "web, db -> a, b tcp icmp ipv6"),
        ("* except web,a -x b except c udp:53", "* except web, a -x b except c udp:53"),
        # The first word behind the sign is a name, whatever it is called.
        ("a -> tcp", "a -> tcp"),
        ("a -> icmp, tcp icmp", "a -> icmp, tcp icmp"),
        ("a@fd00::1 -> b@n", "a@fd00::1 -> b@n"),
        ("a -> b pmtu:1400 source:FD00:0::1", "a -> b source:fd00::1 pmtu:1400"),
    ],
)
def test_a_statement_in_one_line(text: str, said: str) -> None:
    assert str(said_in(text)) == said
    assert said_in(said) == said_in(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "web", "web > db", "web ->", "-> db", "web -> db c", "a->b", "a -> b -> c"),
        *("a -> b tcp:0", "a -> b tcp:70000", "a -> b ipv4 ipv6", "a -> b except tcp:5432 x"),
        *("a, -> b", "a -> b,", "a except -> b", "a -> b\x1b"),
    ],
)
def test_what_is_no_statement(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no "):
        said_in(text)
    if text.isprintable():
        with pytest.raises(LabError, match=r"expected a statement such as 'web -> db tcp:5432'"):
            made(tmp_path, json.dumps(text))


def test_a_name_comes_before_a_word_for_all_of_a_kind(tmp_path: Path) -> None:
    statement = "nodes -> db tcp:5432"
    (one,) = findings(tmp_path, statement)
    assert one.message.startswith("core-01 does not reach db")
    file = lab(tmp_path, statement)
    file.write_text(
        file.read_text().replace("name: guest,", "name: nodes,").replace("guest-1a", "nodes-1a")
    )
    (one,) = intent_findings(load(file))
    assert one.message.startswith("nodes-1a does not reach db")


def labelled(folder: Path, *statements: str) -> Path:
    """Return the lab with a label on two of its groups."""
    file = lab(folder, *statements)
    text = file.read_text()
    for group in ("name: web,", "name: both,"):
        text = text.replace(group, f"{group} labels: [staff, trusted],")
    file.write_text(text)
    return file


def test_a_label_names_all_that_have_it(tmp_path: Path) -> None:
    plain = made(tmp_path, "web, both -> db tcp:5432").plan
    named = load(labelled(tmp_path, "staff -> db tcp:5432", "trusted@office -> db tcp:5432")).plan
    assert set(named.intent[0].sources) == set(plain.intent[0].sources)
    assert set(named.intent[1].sources) == {"web-1a@office", "web-2a@office", "both@office"}
    assert predict(named) == predict(plain)
    # It makes nothing of what is planned otherwise.
    assert named.without_intent == plain.without_intent
    assert plan_from_json(named.to_json()) == named
    assert "labels" not in plain.to_json()
    choice = Choice(("staff -> db",)).of(named)
    sources = {"web-1a", "web-2a", "both@office", "both@guests"}
    assert {source for source, _, _ in choice.cells} == sources
    with pytest.raises(LabError) as error:
        load(labelled(tmp_path, "staf -> db"))
    assert error.value.problems[0].hint == "did you mean staff?"


def test_a_word_for_all_of_a_kind_that_is_not_there(tmp_path: Path) -> None:
    file = lab(tmp_path, "hosts -> db")
    text = file.read_text()
    start, end = text.index("hosts:\n"), text.index("protocols:")
    file.write_text(text[:start] + text[end:])
    with pytest.raises(LabError) as error:
        load(file)
    (problem,) = error.value.problems
    assert (problem.found, problem.hint) == ("'hosts'", "this lab has no external hosts")


def test_an_asterisk_without_quotes(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="expected quotes around it"):
        made(tmp_path, "* -x db")


def test_nothing_of_the_plan_depends_on_what_is_wanted(tmp_path: Path) -> None:
    wanted = made(tmp_path, "web -> db tcp:5432").plan
    plain = tmp_path / "plain.yml"
    plain.write_text(LAB.replace("expect:\n", ""))
    without = load(plain).plan
    assert plan_from_json(wanted.to_json()) == wanted
    assert "intent" not in json.loads(without.to_json())
    told = {key: value for key, value in json.loads(wanted.to_json()).items() if key != "intent"}
    assert told == json.loads(without.to_json())
    assert predict(wanted) == predict(without)


def test_lint_says_it_in_each_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(lab(tmp_path, "guest -x db", "web -> db icmp"))
    assert main(["lint", file]) == EXIT_DIFFERS
    assert f":{FIRST + 1}:5: error: intent-broken: web-2a does not reach" in capsys.readouterr().out
    assert main(["lint", file, "--json"]) == EXIT_DIFFERS
    document = json.loads(capsys.readouterr().out)
    assert [(f["id"], f["line"]) for f in document["findings"]] == [("intent-broken", FIRST + 1)]
    assert document["summary"]["errors"] == 1
    assert (document["statements"], document["statements_kept"]) == (2, 1)
    assert main(["lint", file, "--format", "sarif"]) == EXIT_DIFFERS
    run = json.loads(capsys.readouterr().out)["runs"][0]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "intent-broken"
    assert main(["lint", file, "--format", "github"]) == EXIT_DIFFERS
    assert f"title=intent-broken,line={FIRST + 1}," in capsys.readouterr().out
    assert main(["lint", file, "--ignore", "intent-broken: known"]) == EXIT_OK
    assert "1 silenced, 1 of 2 statements kept" in capsys.readouterr().out
    assert main(["lint", str(lab(tmp_path, "gest -x db"))]) == EXIT_BAD_INPUT


def test_a_lab_without_statements_has_no_findings() -> None:
    file = Path(__file__).resolve().parents[4] / "labs" / "coreos.yml"
    assert intent_findings(load(file)) == []
    assert make_plan(read_lab(file)).intent == ()


def test_all_that_is_wrong_with_statements_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        made(
            tmp_path,
            *("web => db", "gest -> db", "web->db tcp/80", "web -> db udp", "web -> db: 5432"),
            *("{from: web db, to: guest}", "web -> both", "'* -x both'", "web -> db:80"),
            "{from: web, to: db, protocols: [tcp/80]}",
        )
    told = [(one.line - FIRST, one.id, one.hint) for one in error.value.problems]
    assert told == [
        (0, "bad-value", "did you mean 'web -> db'?"),
        (1, "expect-nobody", "did you mean guest?"),
        (2, "bad-value", "did you mean 'web -> db tcp:80'?"),
        (3, "expect-unmeasured", "protocols: [icmp, tcp, tcp:5432, udp]"),
        (4, "unknown-key", "write it in one line, without the colon: 'web -> db tcp:5432'"),
        (5, "bad-value", "did you mean 'web, db'?"),
        (7, "expect-conflict", "web-1a@office → both@office is in both"),
        (8, "expect-nobody", "a port stands behind the names: db tcp:80"),
        (9, "bad-value", "did you mean tcp:80?"),
    ]


def test_what_is_wrong_elsewhere_leaves_no_plan_to_look_names_up_in(tmp_path: Path) -> None:
    file = lab(tmp_path, "gest -> db", "web => db")
    file.write_text(file.read_text().replace("driver: macvlan", "driver: macvlam"))
    with pytest.raises(LabError) as error:
        load(file)
    assert [one.id for one in error.value.problems] == ["bad-value", "bad-value"]


def test_an_empty_list_of_statements_has_a_line(tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        made(tmp_path)
    (problem,) = error.value.problems
    assert problem.line == FIRST - 1
    assert problem.hint == "write statements below it, or leave the key out"
