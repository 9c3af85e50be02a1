"""studio policy: look at the rules, try them, measure them, and see what a change would change."""

import typer

from studio.cli import policy_check, policy_diff, policy_eval, policy_history, policy_screen, policy_status

app = typer.Typer(
    no_args_is_help=True,
    help="The acceptable-use policy: check its rules, explain a decision, measure it, compare two.",
)
app.command("status")(policy_status.status)
app.command("check")(policy_check.check)
app.command("screen")(policy_screen.screen)
app.command("eval")(policy_eval.evaluate)
app.command("diff")(policy_diff.diff)
app.command("shadow")(policy_history.shadow)
