"""Maps the plural forms of other languages to English's two."""

import collections
import gettext
import re

_PLURAL_FORMS = re.compile(r"\bplural\s*=([^;]+)")


class PluralIndices:
    """The plural forms of a catalogue that translate "one" and "many".

    English has a form for 1 and a form for the rest. In the other language,
    the form for 1 translates the singular, and the form for most numbers from 2
    to 200 the plural: not Arabic's dual, nor Russian's form for 2 to 4.
    """

    def __init__(self, plural_forms: str):
        """Parses the header's Plural-Forms."""
        # An invalid header is treated like a missing one.
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
        """The indices of one and many in an entry; None if unclear."""
        if self._many in forms and self._one in forms:
            return self._one, self._many
        if len(forms) <= 2:  # what gettext itself assumes without a header
            return 0, len(forms) - 1
        # An entry older than its header lacks the form for many, but has the
        # form for one at the right index.
        return self._one, None
