"""What pyproject.toml cannot say: the ready configurations of configs/ are installed within the package."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["ibc", "ibc.*"]), "ibc.configs"], package_dir={"ibc.configs": "configs"})
