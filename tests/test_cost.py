from heinit_sim.config import Override, load_config
from heinit_sim.cost import Cost, estimate
from heinit_sim.gallery import gallery


def cost(jobs: int = 1, **changes: str) -> Cost:
    overrides = [Override("--set", key.replace("__", "."), text) for key, text in changes.items()]
    return estimate(load_config(gallery()["figure_7_4"], overrides), jobs)


def test_a_sweep_over_the_variance_is_planned_as_one_pass_per_trial() -> None:
    assert cost().passes == 100
    assert cost(loss__target="1").passes == 500
    assert cost(draws="independent").passes == 500


def test_memory_of_weights_that_do_not_fit_is_that_of_one_layer() -> None:
    # 200 layers of 1000² weights are 1.5 GiB; drawn again in the backward pass, they are not kept
    large = cost(network__depth="200", network__width="1000", network__input_dim="1000")
    assert large.peak_bytes < 300 * 2**20
    assert cost().peak_bytes < 300 * 2**20


def test_time_grows_with_the_work_and_shrinks_with_threads() -> None:
    # by more than a probe on a busy machine can be off
    assert cost(trials="10000").seconds > 10 * cost().seconds
    assert cost(jobs=8, trials="10000").seconds < 0.5 * cost(trials="10000").seconds
