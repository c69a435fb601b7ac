"""When waiting jobs begin, by what is before them."""

from app.queue.forecast import Ask, Expected, Room, forecast


def begins(asks: list[Ask], rooms: list[Room]) -> list[float | None]:
    return [one.begins_in for one in forecast(asks, rooms)]


def test_jobs_follow_each_other_on_one_device() -> None:
    asks = [Ask("any", 100), Ask("any", 50), Ask("any", None), Ask("any", 10)]
    told = forecast(asks, [Room(30, "cpu")])
    assert told == [
        Expected(30, 130, True),
        Expected(130, 180, True),
        Expected(180, None, True),
        Expected(None, None, True),
    ]


def test_each_takes_the_room_that_is_free_first_and_fits() -> None:
    rooms = [Room(60, "cuda:0"), Room(0, "cuda:1"), Room(0, "cpu", beside_gpu=True)]
    asks = [Ask("any", 100), Ask("any", 10), Ask("cuda:1", 5), Ask("cpu", 7), Ask("cuda", 1)]
    assert begins(asks, rooms) == [0, 60, 100, 0, 70]


def test_room_of_which_nobody_knows_when_it_gets_free_is_counted_on_last() -> None:
    assert begins([Ask("any", 9), Ask("any", 9)], [Room(None), Room(40)]) == [40, 49]
    assert begins([Ask("any", 9)], [Room(None)]) == [None]


def test_without_room_for_it_a_job_never_begins() -> None:
    assert forecast([Ask("cuda:3", 9)], [Room(0, "cpu")]) == [Expected(None, None, False)]
    assert forecast([Ask("any", 9)], []) == [Expected(None, None, False)]
