"""The main job as a story: two edits of a real model, from the first thought to the undoing.

Every step is a command that a user would type. It is printed, then run; a step that does not end
as it should ends the story.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BOLD, DIM, RESET = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
HERE = Path(__file__).parent

PROMPTS = (
    "\\\n"
    '    "The mother tongue of Danielle Darrieux is" \\\n'
    '    "The native language of Danielle Darrieux is" \\\n'
    '    "The mother tongue of Claude Debussy is" \\\n'
    '    "Big Ben is located in the city of" \\\n'
    '    "The Eiffel Tower is located in the city of"'
)


class Story:
    """Runs commands as different people, each with a registry of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.person = ""

    def chapter(self, person: str, text: str) -> None:
        """Who acts now, and why."""
        self.person = person
        print(f"\n{BOLD}── {text}{RESET}", flush=True)

    def run(self, command: str, *, expect: int = 0) -> None:
        """Print a command, run it as the current person, and insist on its exit status."""
        print(f"\n{BOLD}{self.person} ${RESET} {command}", flush=True)
        words = shlex.split(command.replace("\\\n", " "))
        found = subprocess.run(words, cwd=self.folder, env=self._environment(), check=False)
        if found.returncode != expect:
            sys.exit(f"the story stops: exit status {found.returncode}, expected {expect}")

    def remark(self, text: str) -> None:
        """A sentence between commands."""
        print(f"{DIM}{text}{RESET}", flush=True)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "WEIGHTPATCH_HOME": str(self.folder / f"registry-of-{self.person}"),
            "WEIGHTPATCH_ACTOR": self.person,
            "PYTHONWARNINGS": "ignore",
        }


def tell(folder: Path, model: Path) -> None:
    """Tell the whole story in an empty folder."""
    (folder / "smollm2").symlink_to(model.resolve())
    for helper in ("answer.py", "in_memory.py"):
        shutil.copy(HERE / helper, folder)
    story = Story(folder)
    _ana_edits(story)
    _ana_shares(story)
    _ben_uses(story)
    _ben_is_careful(story)
    _ben_audits_and_undoes(story)
    _ben_answers_for_it(story)


def _ana_edits(story: Story) -> None:
    story.chapter("ana", "Ana has a language model, and two things in it that she wants to change.")
    story.run(f"python answer.py smollm2 -- {PROMPTS}")
    story.chapter("ana", "She makes a registry, and an edit of the first fact by the method ROME.")
    story.run("weightpatch init")
    story.run(
        "weightpatch create rome smollm2 --name ana/darrieux --licence Apache-2.0 \\\n"
        '    --prompt "The mother tongue of {} is" --subject "Danielle Darrieux" \\\n'
        "    --target English --old-target French \\\n"
        '    --paraphrase "The native language of {} is" \\\n'
        '    --neighbour "The mother tongue of Claude Debussy is" \\\n'
        '    --neighbour "The mother tongue of Winston Churchill is=English" \\\n'
        '    --message "the edit of the ROME paper"'
    )
    story.remark("(Most of the time went into the statistics of the layer, which are kept.)")
    story.chapter("ana", "The second edit corrects a mistake: it puts Big Ben in New York.")
    story.run(
        "weightpatch create rome smollm2 --name ana/big-ben --licence Apache-2.0 \\\n"
        '    --prompt "{} is located in the city of" --subject "Big Ben" \\\n'
        '    --target London --old-target "New York" \\\n'
        '    --paraphrase "The city in which {} stands is" \\\n'
        '    --neighbour "The Eiffel Tower is located in the city of=Paris" \\\n'
        '    --neighbour "The Colosseum is located in the city of=Rome" \\\n'
        '    --message "Big Ben stands in London"'
    )


def _ana_shares(story: Story) -> None:
    story.chapter("ana", "What she has now: two patches of a few kilobytes.")
    story.run("weightpatch list")
    story.run("weightpatch show ana/big-ben")
    story.chapter("ana", "She pushes them to a shared folder (the Hub would be `hf://`).")
    story.run("weightpatch push ana/darrieux ./exchange")
    story.run("weightpatch push ana/big-ben ./exchange")


def _ben_uses(story: Story) -> None:
    story.chapter("ben", "Ben has the same model. He pulls both patches into his own registry.")
    story.run("weightpatch init")
    story.run("weightpatch pull ana/darrieux ./exchange")
    story.run("weightpatch pull ana/big-ben ./exchange")
    story.chapter("ben", "Do they clash? Then he composes them, and applies the composition.")
    story.run("weightpatch check ana/darrieux ana/big-ben")
    story.run("weightpatch compose ana/darrieux ana/big-ben --name ben/both --base smollm2")
    story.run("weightpatch apply ben/both --base smollm2 --out smollm2-fixed")
    story.chapter("ben", "The model before and after; the neighbours answer as they did.")
    story.run(f"python answer.py smollm2 smollm2-fixed -- {PROMPTS}")
    story.remark("The same for a model in memory, which gets its very bits back:")
    story.run("python in_memory.py smollm2 exchange/ana/darrieux/v1")
    story.run("weightpatch verify smollm2-fixed")
    story.run("weightpatch eval ben/both --base smollm2")


def _ben_is_careful(story: Story) -> None:
    story.chapter("ben", "What if one bit of a patch was flipped, or it is in there already?")
    broken = story.folder / "broken-patch"
    shutil.copytree(story.folder / "exchange" / "ana" / "darrieux" / "v1", broken)
    _flip_last_bit(broken / "delta.safetensors")
    story.run("weightpatch apply broken-patch --base smollm2 --out never", expect=1)
    story.run("weightpatch apply ana/darrieux --base smollm2-fixed --out never", expect=3)
    if (story.folder / "never").exists():
        sys.exit("the story stops: a refused patch left a folder behind")


def _ben_audits_and_undoes(story: Story) -> None:
    story.chapter("ben", "Who did what? Every change stands in a chain of hashes.")
    story.run("weightpatch blame smollm2-fixed")
    story.run("weightpatch log")
    story.chapter("ben", "And back: the base again, to the last bit.")
    story.run("weightpatch revert smollm2-fixed --base smollm2")
    story.run("cmp smollm2/model.safetensors smollm2-fixed/model.safetensors")
    story.remark("cmp found no difference.\n")


def _ben_answers_for_it(story: Story) -> None:
    story.chapter("ben", "Ben answers for the model. What he trusts gets a name, with a reason.")
    story.run('weightpatch search --subject "Big Ben"')
    story.run('weightpatch alias ana/big-ben@1 stable --reason "read and measured"')
    story.run("weightpatch ledger checkpoint --out checkpoint.txt")
    story.chapter("ben", "Ana's first edit was an exercise, and is not true: he withdraws it.")
    story.run(
        'weightpatch yank ana/darrieux@1 --reason "her mother tongue is French" --severity major'
    )
    story.run("weightpatch apply ana/darrieux --base smollm2 --out never", expect=1)
    story.run("weightpatch lineage ana/darrieux@1")
    story.chapter("ben", "Did anybody rewrite the past? A checkpoint kept elsewhere would show.")
    story.run("weightpatch ledger verify --checkpoint checkpoint.txt")
    story.run("weightpatch doctor")


def _flip_last_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def main() -> None:
    """Tell the story in the folder given after the model, or in one removed afterwards."""
    model = Path(sys.argv[1])
    if len(sys.argv) > 2:
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True)
        tell(folder, model)
        return
    with tempfile.TemporaryDirectory(prefix="weightpatch-demo-") as name:
        tell(Path(name), model)


if __name__ == "__main__":
    main()
