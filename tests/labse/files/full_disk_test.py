import errno

import pytest

from labse.errors import InputError
from labse.files.full_disk import full_disk_is_input_error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_one_clear_error(tmp_path, number):
    with (
        pytest.raises(InputError, match=r"is full \(.* GB free\). Finished"),
        full_disk_is_input_error(tmp_path),
    ):
        raise OSError(number, "full")


def test_other_errors_stay_what_they_are(tmp_path):
    with (
        pytest.raises(PermissionError),
        full_disk_is_input_error(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "no")
