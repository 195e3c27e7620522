"""Scripts that complete commands, their actions and options, and files, in a shell."""

import argparse
import importlib
import re
from collections.abc import Mapping
from typing import Final

from dicom_cli.main import COMMANDS, PROGRAMS, common_options

_OPTION: Final = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
_ACTIONS: Final = re.compile(r"\]\s+\{([a-z0-9,-]+)\}")
"""The choices of a positional argument in a usage; those of an option stand behind its name."""
_BASH: Final = """\
_dicom() {{
  local known=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    known="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$known" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o bashdefault -o default -F _dicom dicom"""
_ZSH: Final = """\
#compdef dicom
_dicom() {{
  local -a known
  if (( CURRENT == 2 )); then
    known=({commands})
  else
    case "$words[2]" in
{cases}
    esac
    [[ $PREFIX == -* ]] || _files
  fi
  compadd -a known
}}
compdef _dicom dicom"""
_FISH: Final = """\
complete -c dicom -n __fish_use_subcommand -f -a "{commands}"
{cases}"""


def script(shell: str) -> str:
    """The script for a shell: bash, zsh or fish."""
    words = _words_by_command()
    form, case = {
        "bash": (_BASH, '      {name}) known="{words}" ;;'),
        "zsh": (_ZSH, "      {name}) known=({words}) ;;"),
        "fish": (_FISH, 'complete -c dicom -n "__fish_seen_subcommand_from {name}" -a "{words}"'),
    }[shell]
    cases = "\n".join(case.format(name=name, words=text) for name, text in words.items())
    return form.format(commands=" ".join(words), cases=cases)


def _words_by_command() -> Mapping[str, str]:
    """Command to its actions and options, with blanks between them."""
    common = _options(common_options())
    found: dict[str, str] = {}
    for name, command in COMMANDS.items():
        parser = argparse.ArgumentParser()
        importlib.import_module(f"dicom_cli.{command.module}").add_to(parser)
        actions = _ACTIONS.search(parser.format_usage())
        words = [*(actions[1].split(",") if actions else []), *_options(parser), *common]
        found[name] = " ".join(dict.fromkeys(words))
    for name, (_, module) in PROGRAMS.items():
        found[name] = " ".join(_options(importlib.import_module(module).parser()))
    return {**found, "config": "show", "completion": "bash zsh fish"}


def _options(parser: argparse.ArgumentParser) -> list[str]:
    usage = parser.format_usage()
    return list(dict.fromkeys(_OPTION.findall(usage)))
