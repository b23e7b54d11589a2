"""Not a stage: prove backpropagation right for every model, activation and loss."""

import typer

from pipeline.base.errors import PipelineError, reports_errors

app = typer.Typer(add_completion=False)


@app.command()
@reports_errors
def main(
    tolerance: float = typer.Option(1e-6, min=0.0, help="Largest relative error allowed."),
    side: int = typer.Option(8, min=4, help="Rows and columns of the images."),
    hidden: int = typer.Option(5, min=1, help="Units in hidden layers."),
    seed: int = typer.Option(1, min=0, help="Of weights and images."),
) -> None:
    """Compare each derivative with central differences and complex steps; print the largest relative errors.

    Example: pipeline gradcheck --side 12 --hidden 20
    """
    from pipeline.nn.check import FLOAT64, check, every_net, example
    from pipeline.nn.losses import LOSSES

    worst, classes = 0.0, 3
    typer.echo(f"{'net':18}{'loss':15}{'array':7}{'differences':>12}{'complex step':>14}{'directions':>12}")
    for net, model, loss in every_net(side, classes, hidden):
        for array, *errors in check(FLOAT64, model, LOSSES[loss], *example(model, 4, side, classes, seed)):
            typer.echo(f"{net:18}{loss:15}{array:7}{errors[0]:12.1e}{errors[1]:14.1e}{errors[2]:12.1e}")
            worst = max(worst, *errors)
    if not worst <= tolerance:
        raise PipelineError(f"backpropagation is off by {worst:.1e}, more than {tolerance:.1e}; see the table above.")
    typer.echo(f"Backpropagation is right: no derivative is off by more than {worst:.1e}.")


if __name__ == "__main__":
    app()
