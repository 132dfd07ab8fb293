"""The plural forms of other languages, and English's two."""

import collections
import gettext
import re

_PLURAL_FORMS = re.compile(r"\bplural\s*=([^;]+)")


class PluralIndices:
    """Which of a catalogue's plural forms say "one" and "many".

    English has one form for 1 and one for the rest. Of the other language's
    forms, the one used for 1 translates the singular, and the one used for the
    most numbers from 2 to 200 the plural: not Arabic's dual, not the form that
    Russian has for 2 to 4.
    """

    def __init__(self, plural_forms: str):
        """Takes the header's Plural-Forms, sound or not."""
        # A header that nobody can follow is as good as none.
        self._one, self._many = None, None
        match = _PLURAL_FORMS.search(plural_forms)
        if not match:
            return
        try:
            index = gettext.c2py(match[1])
            used = collections.Counter(index(n) for n in range(2, 201))
            self._one, self._many = index(1), used.most_common(1)[0][0]
        except (ValueError, ZeroDivisionError, RecursionError):
            return

    def of(self, forms: dict[int, str]) -> tuple[int | None, int | None]:
        """The indices of one and many in an entry; None where unclear."""
        if self._many in forms and self._one in forms:
            return self._one, self._many
        if len(forms) <= 2:  # what gettext itself assumes without a header
            return 0, len(forms) - 1
        # An entry older than its header lacks the form for many, but its form
        # for one is in its place.
        return self._one, None
