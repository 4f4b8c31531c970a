"""A clip's identity: unequal clips have unequal texts and keys, and the text can be read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonimate.footage.clip_id import ClipId

SOURCES = st.one_of(st.text(min_size=1), st.text("ab/_.#@v0-", min_size=1))
CLIPS = st.builds(
    ClipId,
    SOURCES,
    st.integers(0, 10_000_000),
    st.floats(0.25, 4.0),
    st.integers(0, 9),
)


@given(CLIPS)
def test_the_text_of_a_clip_can_be_read_back(clip):
    assert ClipId.parse(str(clip)) == clip


@given(CLIPS, CLIPS)
def test_unequal_clips_have_unequal_texts_and_keys(one, other):
    assert (str(one) == str(other)) == (one == other) == (one.key == other.key)


@given(CLIPS)
def test_keys_are_file_names_of_webdataset_and_tar(clip):
    assert set(clip.key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert len(f"{clip.key}.landmarks.npy") <= 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ClipId("a/b.mp4"), ClipId("a_b.mp4")),
        (ClipId("a/b.mp4"), ClipId("a/b.mov")),
        (ClipId("Ö.mp4"), ClipId("Ü.mp4")),
        (ClipId("a.mp4"), ClipId("a.mp4", first_frame=1)),
        (ClipId("a.mp4"), ClipId("a.mp4", speed=0.9)),
        (ClipId("a.mp4"), ClipId("a.mp4", version=1)),
        (ClipId("a.mp4#0@1.0v0"), ClipId("a.mp4")),
        (ClipId(f"{'long' * 60}1.mp4"), ClipId(f"{'long' * 60}2.mp4")),
    ],
)
def test_names_that_look_alike_have_unequal_keys(one, other):
    assert str(one) != str(other)
    assert one.key != other.key


def test_clips_sort_by_file_and_time():
    clips = [ClipId("a", 10), ClipId("a", 9, 1.1), ClipId("a", 9, 0.9, 1), ClipId("a", 9, 0.9), ClipId("B")]
    assert sorted(clips) == clips[::-1]


def test_only_the_footage_itself_is_original():
    assert ClipId("a", 5).is_original
    assert not ClipId("a", speed=0.9).is_original
    assert not ClipId("a", version=1).is_original


@pytest.mark.parametrize("text", ["", "a.mp4", "a.mp4#1", "a#x@1.0v0", "a#1@1.0"])
def test_what_names_no_clip_is_refused(text):
    with pytest.raises(ValueError, match="names no clip"):
        ClipId.parse(text)


def test_a_speed_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="fast"):
        ClipId.parse("a#1@fastv0")
