from editing.diffusion.quiet import diffusers_logging, quiet_libraries, transformers_logging


def test_the_libraries_switches_are_left_as_they_were() -> None:
    libraries = (diffusers_logging, transformers_logging)

    def switches() -> list[tuple[int, bool]]:
        return [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]

    before = switches()
    with quiet_libraries():
        assert all(verbosity == 40 and not bar for verbosity, bar in switches())
    assert switches() == before
