import pytest

from data_pipeline.cleaning.steps.width import is_wide, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", 3),
        ("\u00e4\u044f\u0e01", 3),
        ("\u6211", 3),
        ("\u3042\u30a2\ud55c\u12a0", 8),
        ("\U00020001a", 4),
    ],
)
def test_width(text, expected):
    assert width(text) == expected
    assert is_wide(text, expected)
    assert not is_wide(text, expected + 1)
