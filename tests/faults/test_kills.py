"""Each command is killed at random moments, again and again: nothing is half-written, and in the end all is as it was.

A round kills the command at a moment between its beginning and its end. Every file that is there afterwards, but for
temporary ones, is whole: it is that of the undisturbed run. The same command then goes on; when it comes to its end
before it is killed, its result is compared bit for bit, and the folder is emptied for the next round.
"""

import json
import os
import random
import signal

import pytest

from tests.faults.commands import COMMANDS, compare, finished, fresh


@pytest.mark.parametrize("name", COMMANDS)
def test_kill_9_at_random_moments(name, zygote, rounds, tmp_path):
    place, out, log = tmp_path / "in", tmp_path / "out", tmp_path / "log"
    place.mkdir()
    command = COMMANDS[name](place)
    fresh(out)
    finished(zygote, command, out, log)  # compiled loops are in the cache afterwards
    fresh(out)
    seconds = finished(zygote, command, out, log)
    whole = out.rename(tmp_path / "whole")
    choose = random.Random(name)
    done = kills = 0
    fresh(out)
    while done < rounds:
        before = {path: os.stat(path).st_mtime_ns for path in command.not_repeated(out)}
        zygote.start(command.words(out), log, command.cores)
        code = zygote.kill_after(choose.uniform(0, 1.1 * seconds), signal.SIGKILL, choose.random() < 0.5)
        text = log.read_text()
        assert code in (0, -9), text
        assert "Traceback" not in text, text
        for path, time in before.items():
            assert os.stat(path).st_mtime_ns == time, f"{path} was made again"
        compare(command, out, whole, finished=code == 0)
        done, kills = done + 1, kills + (code == -9)
        if code == 0:
            fresh(out)
        elif done % 5 == 0:  # seldom does it come to its end by itself
            finished(zygote, command, out, log)
            compare(command, out, whole, finished=True)
            fresh(out)
    with open(os.environ.get("FAULTS_LOG", tmp_path / "survived"), "a") as handle:
        handle.write(json.dumps({name: [done, kills, round(seconds, 2)]}) + "\n")
