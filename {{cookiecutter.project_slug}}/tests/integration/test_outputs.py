"""The stack has the outputs that the program exports."""

from tools.testing import Deployment
from tools.testing.comparison import hold
from tools.testing.deployed import Deployed
from tools.testing.promises import skip_if_secret


def test_an_output_has_the_exported_value(deployed: Deployed, promises: Deployment, output: str) -> None:
    skip_if_secret(deployed, output)

    hold(f"output {output}", "value", found=deployed.outputs.get(output), promised=promises.exports[output])


def test_there_are_no_other_outputs(deployed: Deployed, promises: Deployment) -> None:
    hold("outputs", "names", found=sorted(deployed.outputs), promised=sorted(promises.exports))
