"""Scenario files: what is in them, and what is said of a wrong one."""

from pathlib import Path

import pytest

from loadtest.errors import ScenarioError
from loadtest.scenario import Drain, load_scenario


def test_every_scenario_of_the_project_can_be_read(repository: Path) -> None:
    files = sorted((repository / "loadtest" / "scenarios").glob("*.toml"))

    assert {file.stem for file in files} >= {"churn", "drain", "fan_out", "many_channels", "soak", "stalled"}
    scenarios = {file.stem: load_scenario(file) for file in files}
    assert scenarios["fan_out"].can_compare
    assert scenarios["drain"].drain == Drain(after_s=5)
    assert [name for name, scenario in scenarios.items() if scenario.can_compare] == ["fan_out"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('title = "x"', "clients: expected a value, found none"),
        ('title = "x"\nclients = []', "clients: expected .* length >= 1"),
        ('title = "x"\nclients = [0]', r"clients\[0\]: expected `int` >= 1, found 0"),
        ('title = "x"\nclients = [5]\nspeed = 3', "speed: expected one of: .*found an unknown field"),
        ('title = "x"\nclients = [5]\n[churn]\nratio = 2', "churn.ratio: expected `float` <= 1"),
        ('title = "x"\nclients = [5]\n[publishing]\nrate = 2', "publishing.rate: expected one of: rounds_per_s"),
        ('title = "x"\nclients = [5]\nchannels_per_client = 2', "channels_per_client up to 1, found 2"),
        ('title = "x"\nclients = [5]\n[drain]', "expected two gateways at least"),
        ('title = "x"\nclients = [5, 6]\ngateways = 2\n[drain]', "expected one number of clients"),
        ("title = ", "expected TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_of_its_fault(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)

    with pytest.raises(ScenarioError, match=complaint) as caught:
        load_scenario(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="expected a readable file"):
        load_scenario(tmp_path / "none.toml")
