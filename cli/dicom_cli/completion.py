"""Scripts that complete the names of commands in a shell."""

from typing import Final

from dicom_cli.main import COMMANDS, PROGRAMS

_BASH: Final = 'complete -W "{words}" dicom'
_ZSH: Final = '#compdef dicom\ncompdef \'_arguments "1:command:({words})" "*:file:_files"\' dicom'
_FISH: Final = 'complete -c dicom -n __fish_use_subcommand -f -a "{words}"'


def script(shell: str) -> str:
    """The script for a shell: bash, zsh or fish."""
    words = " ".join((*COMMANDS, *PROGRAMS, "config", "completion"))
    return {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell].format(words=words)
