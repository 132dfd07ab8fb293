"""The flags of one program.

An object of its own, not absl's global one, so that many programs can be
imported in one process.
"""

from absl import flags


class FlagSet(flags.FlagValues):
    """Defines flags by their type; then `flags.name` is a flag's value."""

    def string(self, name: str, default: str | None, text: str, **how) -> None:
        """A flag of one text.

        Args:
          name: of the flag.
          default: its value where it is not given.
          text: its line in --help.
          **how: `required=True`, or what absl's definition takes.
        """
        flags.DEFINE_string(name, default, text, flag_values=self, **how)

    def strings(self, name: str, default, text: str, **how) -> None:
        """A flag that may be repeated, each time with one text."""
        flags.DEFINE_multi_string(name, default, text, flag_values=self, **how)

    def comma_list(self, name: str, default, text: str, **how) -> None:
        """A flag of several texts with commas between them."""
        flags.DEFINE_list(name, default, text, flag_values=self, **how)

    def choice(self, name: str, default, choices, text: str, **how) -> None:
        """A flag of one of `choices`."""
        flags.DEFINE_enum(name, default, choices, text, flag_values=self, **how)

    def boolean(self, name: str, default: bool, text: str, **how) -> None:
        """A flag that is set or not."""
        flags.DEFINE_bool(name, default, text, flag_values=self, **how)

    def integer(self, name: str, default, text: str, **how) -> None:
        """A flag of a whole number; `lower_bound`, `upper_bound`."""
        flags.DEFINE_integer(name, default, text, flag_values=self, **how)

    def number(self, name: str, default, text: str, **how) -> None:
        """A flag of a number; `lower_bound`, `upper_bound`."""
        flags.DEFINE_float(name, default, text, flag_values=self, **how)

    def require(self, names: list[str]) -> None:
        """Makes flags that are defined required."""
        flags.mark_flags_as_required(names, flag_values=self)
