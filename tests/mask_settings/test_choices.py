"""What is chosen on the preview page survives being written as an address."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.mask_settings.choices import Choices, PreviewFields, read_choices
from app.mask_settings.fields import MOST_TOKENS
from app.masking import Handling, MaskSettings, TrainOn

SETTINGS = st.builds(
    MaskSettings,
    train_on=st.sampled_from(TrainOn),
    handling=st.sampled_from(Handling),
    max_length=st.none() | st.integers(1, MOST_TOKENS),
    control_tokens=st.sampled_from(["neutralise", "refuse"]),
    train_reasoning=st.booleans(),
    template_arguments=st.dictionaries(
        st.sampled_from(["enable_thinking", "reasoning_effort", "date_string"]),
        st.booleans() | st.integers(-9, 10**12) | st.floats(-1e9, 1e9) | st.text(max_size=12),
    ),
)
COMPARISONS = st.one_of(
    st.just({}),
    st.builds(lambda found: {"compare_strategy": found}, st.sampled_from(TrainOn)),
    st.builds(lambda found: {"compare_model_id": found}, st.integers(1, 99)),
)


@examples(deadline=None)
@given(
    SETTINGS,
    COMPARISONS,
    st.dictionaries(st.integers(0, 499), st.sampled_from([True, False, None]), max_size=5),
    st.integers(0, 60),
    st.none() | st.integers(0, 20_000),
    st.sampled_from(["", "{% for m in messages %}\n{{ m.content }}&?=#\n{% endfor %}"]),
)
def test_an_address_leads_back_to_the_same_choices(
    settings: MaskSettings,
    comparison: dict[str, object],
    flags: dict[int, bool | None],
    sample: int,
    token: int | None,
    template: str,
) -> None:
    choices = Choices(
        settings,
        path="/conversations/7/mask",
        base_model_id=3,
        chat_template=template,
        flags=flags,
        sample=sample,
        token=token,
        **comparison,  # type: ignore[arg-type]
    )
    address = urlsplit(choices.address())
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    assert read_choices(PreviewFields(**query), address.path) == choices
