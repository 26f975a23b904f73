"""Courses are read; each mistake is shown with its place, what was expected, and what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from course_folder import COURSE, EXERCISE, LAB, course_in
from underlay.errors import BadInput
from underlay.workshop.before_boot import course_problems
from underlay.workshop.reading import CourseError, find_course, load_course


def problems(folder: Path) -> list[str]:
    """Return what is wrong with a course, by whichever reader finds it, without the folder."""
    try:
        found = course_problems(load_course(folder))
    except CourseError as error:
        found = list(error.problems)
    return [str(one).replace(f"{folder}/", "") for one in found]


def test_a_course_is_read(tmp_path: Path) -> None:
    course = load_course(course_in(tmp_path))
    assert (course.name, course.minutes) == ("two-rooms", 20)
    (left,) = course.exercises
    assert left.name == "left"
    assert left.stages[0].title == "Back again"
    assert left.story_text == "Silence.\n"
    assert problems(course.folder) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("minutes: 8", "minuets: 8", "left/exercise.yml:2:1: found the key 'minuets'"),
        ("minutes: 8", "minutes: long", "2:10: minutes: found 'long', expected a whole"),
        ("minutes: 8", "minutes: 800", "a whole number from 1 to 600"),
        ("title: Left alone\n", "", "found no 'title', expected title: text"),
        ("hints: [Who is silent?, Look at eth1.]", "hints: [One.]", "9:12: stages[0].hints: found"),
        ("hints: [Who is silent?, Look at eth1.]", "hints: One.", "write '- ' before it"),
        ("{break: parent-down, node: core-02}", "{run: a, break: b}", "break beside run"),
        ("{break: parent-down, node: core-02}", "{run: a}", "run without on"),
        ("{break: parent-down, node: core-02}", "{node: core-02}", "none of break, run and mend"),
        ("{break: parent-down, node: core-02}", "{on: core-02, run: a, node: b}", "beside run"),
        ("{break: parent-down, node: core-02}", "{mend: al}", "did you mean all?"),
        ("{break: parent-down, node: core-02}", "{break: parent-dwn}", "did you mean parent-down?"),
        ("{break: parent-down, node: core-02}", "{break: parent-down, node: core-2}", "core-02"),
        ("    red: [", "    expect: [web -> ]\n    red: [", "a statement such as"),
        ("    red: [", "    expect: [wbe -> web]\n    red: [", "did you mean web"),
        ("    red: [", "    expect: [web -> web tcp]\n    red: [", "found 'tcp', expected what"),
        ('red: ["web-1* <-> web-2*"]', 'red: ["web-1*"]', "cells such as"),
        ('red: ["web-1* <-> web-2*"]', 'red: ["wbe* -> web-2*"]', "nobody in left is called wbe*"),
        ('red: ["web-1* <-> web-2*"]', 'red: ["web -> web tcp"]', "no cell of left is meant"),
        ('red: ["web-1* <-> web-2*"]', "unplanned: 1", "expected true or false"),
        ('    red: ["web-1* <-> web-2*"]\n', "", "a stage in which nothing is wrong"),
        ('      - {on: core-01, run: "true"}', "      []", "no 'wrong', expected wrong: a"),
        ('{on: core-02, run: "ip link set eth1 up"}', "{mend: all}", "found the key 'mend'"),
        ('{on: core-02, run: "ip link', '{on: switch, run: "ip link', "a learner has no more"),
        ("title: Left alone", "title: A parent is down", "'a parent is down' in its title"),
        ("title: Left alone", "lab: lap.yml\ntitle: Left alone", "did you mean lab.yml?"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_exercise_is_shown(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in EXERCISE
    found = problems(course_in(tmp_path, exercise=EXERCISE.replace(before, after)))
    assert any(said in one for one in found), found
    assert all(one.startswith("left/exercise.yml:") for one in found), found


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[left]", "[leftt]", "did you mean left?"),
        ("[left]", "[left, left]", "'left' a second time"),
        ("[left]", "[Left!]", "small letters, digits and hyphens"),
        ("minutes: 20", "minutes: 7", "while its exercises take 8, expected at least 8 minutes"),
        ("description: One course for tests.\n", "", "found no 'description'"),
    ],
)
def test_a_mistake_in_a_course_is_shown(tmp_path: Path, before: str, after: str, said: str) -> None:
    found = problems(course_in(tmp_path, course=COURSE.replace(before, after)))
    assert any(said in one for one in found), found


def test_a_folder_that_the_course_does_not_name_is_shown(tmp_path: Path) -> None:
    folder = course_in(tmp_path)
    (folder / "right").mkdir()
    (folder / "right" / "exercise.yml").write_text(EXERCISE)
    (one,) = problems(folder)
    assert "right/exercise.yml, an exercise that course.yml doesn't name" in one


def test_a_story_that_gives_the_cause_away_is_shown(tmp_path: Path) -> None:
    (one,) = problems(course_in(tmp_path, story="# Hm\n\nIs it parent-down?\n"))
    assert one.startswith("left/story.md:3:1: found 'parent-down' in the story")


def test_an_empty_story_is_shown(tmp_path: Path) -> None:
    (one,) = problems(course_in(tmp_path, story="\n"))
    assert "'story.md', an empty file" in one


def test_what_is_wrong_with_a_lab_is_shown(tmp_path: Path) -> None:
    (one,) = problems(course_in(tmp_path, lab=LAB.replace("macvlan", "macvln")))
    assert one.startswith("left/lab.yml:")
    assert "did you mean macvlan?" in one


def test_an_answer_has_something_to_be_compared_with(tmp_path: Path) -> None:
    asked = '    answer: {question: "Which?"}\n    red: ['
    found = problems(course_in(tmp_path, exercise=EXERCISE.replace("    red: [", asked)))
    assert any("no right answer, expected on and run, or accept" in one for one in found)
    assert any("solve beside answer" in one for one in found)


def test_the_nearest_course_is_named() -> None:
    with pytest.raises(BadInput) as error:
        find_course("find-the-falt")
    assert error.value.hint == "did you mean find-the-fault?"
