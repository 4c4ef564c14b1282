"""No answer from before a revocation counts, and no other answer is lost by one, as long as memory allows."""

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.answers import Answers
from gateway.introspection import INACTIVE, Answer, Introspection
from gateway.revocations import Revocations
from wire.revocation import Revocation, digest_of

S = 1_000_000_000
TOKENS = {"t1": "a", "t2": "a", "t3": "b"}
ASK = st.tuples(st.just("ask"), st.sampled_from(sorted(TOKENS)))
STEPS = st.lists(
    st.one_of(
        ASK,
        st.tuples(st.just("sub"), st.sampled_from(["a", "b", "c", "d"])),
        st.tuples(st.just("token"), st.sampled_from([*TOKENS, "t4"])),
        st.tuples(st.just("all"), st.just("")),
    ),
    max_size=40,
)


def who(sub: str = "a", exp: int | None = None) -> Introspection:
    return Introspection(active=True, sub=sub, exp=exp)


@given(STEPS, st.integers(1, 10))
@example([("ask", "t1"), ("sub", "a"), ("sub", "b")], 1)
def test_an_answer_is_void_once_who_it_is_about_is_revoked(steps: list[tuple[str, str]], kept: int) -> None:
    revocations = Revocations(kept)
    asked: list[tuple[str, int, bool]] = []
    for kind, name in steps:
        if kind == "ask":
            asked.append((name, revocations.count, False))
            continue
        if kind == "all":
            revocations.add_all()
        else:
            revocations.add(Revocation(name) if kind == "sub" else Revocation(token_sha256=digest_of(name).hex()))
        hit = {token for token, sub in TOKENS.items() if kind == "all" or name in (token, sub)}
        asked = [(token, count, is_void or token in hit) for token, count, is_void in asked]
        for token, count, is_void in asked:
            found = revocations.void(count, TOKENS[token], digest_of(token))
            if kept >= 8:  # of which there are no more
                assert found is is_void
            else:
                assert found or not is_void
        assert not revocations.void(revocations.count, "a", digest_of("t1"))


def test_what_is_kept_of_revocations_is_bounded() -> None:
    revocations = Revocations(3)
    for n in range(10):
        revocations.add(Revocation(str(n)))
    assert len(revocations._counts) == 3


def test_a_subscriber_named_like_a_digest_is_no_token() -> None:
    revocations = Revocations()
    revocations.add(Revocation(sub=digest_of("t").hex()))
    assert not revocations.void(0, "a", digest_of("t"))


def test_a_remembered_answer_is_forgotten_when_its_subscriber_is_revoked_and_a_refusal_is_not() -> None:
    answers = Answers(10)
    one, two, three = (digest_of(token) for token in ("t1", "t3", "nobody"))
    answers.remember(one, who("a"), 0, 0, 0)
    answers.remember(two, who("b"), 0, 0, 0)
    answers.remember(three, INACTIVE, 0, 0, 0)
    answers.revocations.add(Revocation(sub="a"))
    assert answers.recall(one, 0, 0) is None
    assert answers.recall(two, 0, 0) == Answer(who("b"), 60 * S)
    assert answers.recall(three, 0, 0) == Answers.refusal(0)
    answers.remember(one, who("a"), answers.revocations.count, 0, 0)
    assert answers.recall(one, 0, 0) == Answer(who("a"), 60 * S, 1)


def test_an_answer_that_was_asked_for_before_a_revocation_and_came_after_it_is_not_believed() -> None:
    answers = Answers(10)
    asked = answers.revocations.count
    answers.revocations.add(Revocation(token_sha256=digest_of("t1").hex()))
    late = answers.remember(digest_of("t1"), who(), asked, 0, 0)
    assert not answers.stands(digest_of("t1"), late)
    assert answers.recall(digest_of("t1"), 0, 0) is None
    assert answers.stands(digest_of("t2"), late)
