"""The list of wire forms, and the choice among them. A new form is one new file and one entry in FORMS."""

from __future__ import annotations

from .kserve_v1 import KServeV1
from .native_image import NativeImage
from .native_image_list import NativeImageList
from .request import WireRequest
from .served_model import ServedModel
from .wire_form import WireForm

# In order of precedence. NativeImage comes last: it accepts every request and says what is wrong with it.
FORMS: tuple[type[WireForm], ...] = (KServeV1, NativeImageList, NativeImage)


def choose_form(request: WireRequest, model: ServedModel) -> WireForm:
    """The first form that accepts the request. Raises InvalidRequest if the request has none."""
    if request.model_name is not None:
        model.require_name(request.model_name)
    form = next(form for form in FORMS if form.accepts(request))
    return form(model, request)
