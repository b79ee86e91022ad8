"""`runyard completion`: the shell completes commands, options and names."""

import click

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_RUNYARD_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script that completes `runyard` in a shell.

    \b
    bash: eval "$(runyard completion bash)"     in ~/.bashrc
    zsh:  eval "$(runyard completion zsh)"      in ~/.zshrc
    fish: runyard completion fish | source      in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "runyard", _VARIABLE)
    click.echo(script.source())
