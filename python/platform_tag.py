"""Says for which platform a wheel is: that of the verifier in it, which scripts/wheel.sh built and names in ZKLLMC_PLATFORM."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        platform = os.environ.get("ZKLLMC_PLATFORM")
        if not platform:
            raise SystemExit("there is no verifier to pack: build the wheel with scripts/wheel.sh")
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + platform
